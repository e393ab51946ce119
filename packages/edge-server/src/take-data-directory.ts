import { type DataDirectoryLock, lockDataDirectory } from './data-directory/data-directory-lock.ts';
import type { DataDirectory } from './data-directory/open-data-directory.ts';
import type { Log } from './logs.ts';
import { identifyProcess, isSameProcess, type ProcessIdentity } from './process-identity.ts';
import { removeLeftSocketDirectory, type SocketDirectory } from './workerd/socket-directory.ts';

/** What has been started so far, to be undone from its end. */
export type Undo = Array<() => Promise<void> | void>;

export async function undoAll(undo: Undo): Promise<void> {
  for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step();
}

/** Ends a workerd that outlived its crashed server: two on one data folder would spoil it. */
async function endLeftWorkerd(left: ProcessIdentity, log: Log): Promise<void> {
  for (let attempt = 0; isSameProcess(left) && attempt < 100; attempt++) {
    if (attempt === 0) {
      const { pid } = left;
      log.write('warning', 'left_workerd_ended', `a server crashed; ending its workerd (${pid})`, {
        pid,
      });
    }
    try {
      process.kill(left.pid, 'SIGKILL');
    } catch {
      return;
    }
    await new Promise((done) => setTimeout(done, 10));
  }
}

/**
 * Takes the data folder for this process and tidies up after a server that crashed on it.
 *
 * @throws EdgeServerError `data_directory_in_use`
 */
export async function takeDataDirectory(
  data: DataDirectory,
  log: Log,
  undo: Undo,
): Promise<DataDirectoryLock> {
  const { lock, leftBehind } = lockDataDirectory(data.directory, data.paths);
  undo.push(lock.release);
  if (leftBehind?.workerd !== undefined) await endLeftWorkerd(leftBehind.workerd, log);
  if (leftBehind?.socketDirectory !== undefined) {
    removeLeftSocketDirectory(leftBehind.socketDirectory);
  }
  return lock;
}

/** Notes each workerd that is started on the folder, for whoever comes after a crash. */
export function recordProcesses(lock: DataDirectoryLock, socketDirectory: SocketDirectory) {
  const server = identifyProcess(process.pid);
  return (workerdPid: number | undefined) => {
    const workerd = workerdPid === undefined ? undefined : identifyProcess(workerdPid);
    if (server === undefined) return;
    lock.record({
      server,
      ...(workerd === undefined ? {} : { workerd }),
      socketDirectory: socketDirectory.path,
    });
  };
}
