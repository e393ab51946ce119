/** What is logged, and in which form. Callers pass names, counts and paths, never a key, a token or a request. */

export type LogLevel = 'info' | 'warning' | 'error';
export type LogFormat = 'json' | 'text';
export type LogFields = Readonly<Record<string, string | number | boolean>>;

export type Log = {
  /** `event` is a stable name for machines, `message` one sentence for people. */
  readonly write: (level: LogLevel, event: string, message: string, fields?: LogFields) => void;
  /** A line that workerd, or the broker inside it, wrote itself. */
  readonly passThrough: (line: string) => void;
};

const maxLineLength = 16 * 1024;

function isJsonObject(line: string): boolean {
  if (!line.startsWith('{') || !line.endsWith('}')) return false;
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}

/** Control characters, which could forge a second line or steer a terminal, become visible escapes. */
function onOneLine(text: string): string {
  const cut = text.length > maxLineLength ? `${text.slice(0, maxLineLength)}…` : text;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return cut.replace(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/**
 * @param writeLine takes one finished line without its line feed
 * @param format `json`: one JSON object per event; `text`: for a terminal, with local time
 * @param now milliseconds since the epoch
 */
export function createLog(
  writeLine: (line: string) => void,
  format: LogFormat,
  now: () => number,
): Log {
  const time = () => new Date(now()).toISOString();
  const clockTime = () => new Date(now()).toTimeString().slice(0, 8);
  return {
    write(level, event, message, fields = {}) {
      if (format === 'json') {
        writeLine(JSON.stringify({ time: time(), level, event, message, ...fields }));
        return;
      }
      const mark = level === 'info' ? '' : `${level}: `;
      writeLine(onOneLine(`${clockTime()} ${mark}${message}`));
    },
    passThrough(line) {
      if (format === 'text') writeLine(onOneLine(`${clockTime()} worker: ${line}`));
      else if (line.length <= maxLineLength && isJsonObject(line)) writeLine(line);
      else {
        writeLine(
          JSON.stringify({
            time: time(),
            level: 'info',
            event: 'worker_output',
            message: line.slice(0, maxLineLength),
          }),
        );
      }
    },
  };
}
