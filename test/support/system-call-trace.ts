import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export type SystemCall = {
  readonly name: string;
  /** As strace prints it: name, arguments in full, result. */
  readonly line: string;
  /** The absolute path of a file that was opened or made for writing. */
  readonly writtenFile?: string;
};

/** Everything that a program and its children give to other programs, to files and to the network, by strace. */
export class SystemCallTrace {
  readonly #path: string;

  constructor(folder: string) {
    this.#path = join(folder, 'system-calls');
  }

  /** What stands before the command line of the program. */
  get command(): readonly string[] {
    const calls = [
      ...['execve', 'execveat', 'openat', 'openat2', 'open', 'creat', 'rename', 'renameat2'],
      ...['write', 'pwrite64', 'writev', 'pwritev', 'pwritev2', 'sendto', 'sendmsg', 'sendmmsg'],
    ];
    const filter = `trace=${calls.map((name) => `?${name}`).join(',')}`;
    return [
      'strace',
      ...['--follow-forks', '--no-abbrev', '--string-limit=1000000', '--decode-fds=all'],
      ...['-e', filter, '-e', 'signal=none', '-o', this.#path],
    ];
  }

  /** The calls, once the program has ended. */
  read(): readonly SystemCall[] {
    return joinInterrupted(readFileSync(this.#path, 'utf8').split('\n')).flatMap((line) => {
      const name = /^(\w+)\(/.exec(line)?.[1];
      if (name === undefined) return [];
      const opened = /^open\w*\(.*\b(?:O_WRONLY|O_RDWR|O_CREAT)\b.* = \d+<(\/[^>]+)>$/.exec(line);
      return [{ name, line, ...(opened?.[1] === undefined ? {} : { writtenFile: opened[1] }) }];
    });
  }
}

/** Lines begin with the number of a thread; a call during which another thread made one is on two lines. */
function joinInterrupted(lines: readonly string[]): readonly string[] {
  const begun = new Map<string, string>();
  return lines.flatMap((line) => {
    const [, thread = '', rest = ''] = /^(\d+) +(.*)$/.exec(line) ?? [];
    const begins = /^(.*) <unfinished \.\.\.>$/.exec(rest);
    if (begins !== null) {
      begun.set(thread, begins[1] ?? '');
      return [];
    }
    const goesOn = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest);
    return [goesOn === null ? rest : `${begun.get(thread) ?? ''}${goesOn[1]}`];
  });
}
