import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** A program of the development loop: its lines are passed on, and it ends with everything that it started. */
export type DevProcess = {
  /** Resolves with the exit code, or `undefined` after a signal. */
  readonly ended: Promise<number | undefined>;
  /** SIGTERM, and SIGKILL for what does not heed it. */
  readonly stop: () => Promise<void>;
};

const graceMs = 3_000;

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // All of the group has ended.
  }
}

/**
 * Ends a process group when this process ends without having done so, as after SIGKILL: a shell waits on a pipe that
 * closes with this process.
 */
function guardGroup(group: number): ChildProcess {
  const script = `read -r _; kill -s KILL -- -${group}`;
  return spawn('/bin/sh', ['-c', script], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
}

/**
 * Starts a program as the leader of a process group, so that Ctrl-C reaches this process alone, which then ends the
 * others in order.
 */
export function startDevProcess(options: {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly onLine: (line: string) => void;
}): DevProcess {
  const child = spawn(options.command, options.args, {
    cwd: options.cwd,
    env: options.env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', options.onLine);
  }
  child.on('error', (error) => options.onLine(error.message));
  const guard = child.pid === undefined ? undefined : guardGroup(child.pid);
  const ended = once(child, 'close').then(
    ([code]) => (typeof code === 'number' ? code : undefined),
    () => undefined,
  );
  return {
    ended,
    async stop() {
      signalGroup(child, 'SIGTERM');
      const deadline = setTimeout(() => signalGroup(child, 'SIGKILL'), graceMs);
      await ended;
      clearTimeout(deadline);
      signalGroup(child, 'SIGKILL');
      guard?.kill('SIGKILL');
    },
  };
}
