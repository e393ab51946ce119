import { type ChildProcess, spawn } from 'node:child_process';

/**
 * Ends workerd when this process ends without doing so itself, as after SIGKILL. A tiny shell reads process numbers
 * from a pipe; the pipe ends when this process does, however that happens, and the shell kills the last number it read
 * and removes the socket's folder.
 * It is a session of its own, so that neither Ctrl-C nor a signal to the process group reaches it first.
 */
const script = `
while read -r next; do pid=$next; done
case $pid in [0-9]*) kill -KILL "$pid"; rm -f "$1"; rmdir "\${1%/*}";; esac
`;

export type OrphanGuard = {
  /** From now on this process is to die with us; `undefined`: none is. */
  readonly watch: (pid: number | undefined) => void;
  readonly stop: () => void;
};

/** @param socket of workerd, in a folder of its own */
export function startOrphanGuard(socket: string): OrphanGuard {
  let shell: ChildProcess | undefined;
  let watched: number | undefined;
  let stopped = false;

  const tell = () => shell?.stdin?.write(`${watched ?? 'none'}\n`);
  const start = () => {
    const started = spawn('/bin/sh', ['-c', script, 'sh', socket], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
      env: { PATH: '/usr/bin:/bin' },
      cwd: '/',
    });
    shell = started;
    // Without a shell there is no guard, and the next start still finds a left process by its record.
    started.on('error', () => undefined);
    started.stdin?.on('error', () => undefined);
    started.on('exit', () => {
      if (!stopped && shell === started) start();
    });
    tell();
  };
  start();

  return {
    watch(pid) {
      watched = pid;
      tell();
    },
    stop() {
      stopped = true;
      watched = undefined;
      tell();
      shell?.stdin?.end();
    },
  };
}
