import { type ChildProcess, spawn } from 'node:child_process';

/** A program under measurement. It does not outlive this process, however that ends (but by SIGKILL). */
export type MeasuredProcess = {
  readonly pid: number;
  readonly hasExited: () => boolean;
  readonly stop: () => Promise<void>;
};

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));

export function startProcess(
  command: string,
  args: readonly string[],
  options: { readonly env?: NodeJS.ProcessEnv; readonly stderr: 'inherit' | 'ignore' },
): MeasuredProcess {
  const child = spawn(command, args, {
    stdio: ['ignore', 'ignore', options.stderr],
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  running.add(child);
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => {
      running.delete(child);
      resolve();
    });
  });
  return {
    pid: child.pid ?? 0,
    hasExited: () => child.exitCode !== null || child.signalCode !== null,
    async stop() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

/** Waits until the URL gives an answer that counts as ready. */
export async function waitUntilReady(
  url: string,
  child: MeasuredProcess,
  isReady: (response: Response) => boolean,
): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await fetch(url).then(isReady, () => false))) {
    if (Date.now() > deadline || child.hasExited()) throw new Error(`nothing is ready at ${url}`);
    await new Promise((done) => setTimeout(done, 25));
  }
}
