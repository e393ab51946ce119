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

function parseJsonObject(line: string): object | undefined {
  if (!line.startsWith('{') || !line.endsWith('}')) return undefined;
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
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
 * @param readStack puts what people can read in the place of stack traces that workerd writes
 */
export function createLog(
  writeLine: (line: string) => void,
  format: LogFormat,
  now: () => number,
  readStack: (line: string) => string = (line) => line,
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
    passThrough(written) {
      const line = readStack(written);
      if (format === 'text') return writeLine(onOneLine(`${clockTime()} worker: ${line}`));
      // The broker has no clock worth logging between two events of input, so its lines get the server's.
      const fields = line.length <= maxLineLength ? parseJsonObject(line) : undefined;
      const output = {
        level: 'info',
        event: 'worker_output',
        message: line.slice(0, maxLineLength),
      };
      writeLine(JSON.stringify({ time: time(), source: 'worker', ...(fields ?? output) }));
    },
  };
}
