import { UsageError } from './demo-settings.ts';
import { type Started, stopAll } from './start-sample.ts';

/** What the commands that run until somebody ends them have in common. */

/** Makes what `main` gives the exit code; a wrong argument is answered with the usage, and 2. */
export async function runCommand(usage: string, main: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await main();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`countersign: ${error.message}\n\n${usage}`);
    process.exitCode = 2;
  }
}

/** Resolves when the program is told to end. From then on signals do nothing else. */
export function whenAskedToEnd(): Promise<undefined> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => resolve(undefined));
    }
    // Whoever read the output has gone, as with `npm start | head`.
    process.stdout.on('error', () => resolve(undefined));
  });
}

const keptLines = 12;

/** The newest lines of a log, kept for the case that a step fails. */
export function keepNewestLines() {
  const lines: string[] = [];
  const keep = (line: string): void => {
    lines.push(line);
    if (lines.length > keptLines) lines.shift();
  };
  return { lines, keep };
}

/** Stops what was started. A run that is broken off between two steps may start something yet: that is stopped too. */
export async function breakOff(running: Promise<unknown>, started: Started): Promise<void> {
  await stopAll(started);
  await running.catch(() => undefined);
  await stopAll(started);
}
