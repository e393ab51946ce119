import { readFileSync, rmSync } from 'node:fs';
import * as z from 'zod/mini';
import { EdgeServerError } from '../edge-server-error.ts';
import { isSameProcess, type ProcessIdentity } from '../process-identity.ts';
import { replaceFile } from './durable-files.ts';
import { takeFileLock } from './file-lock.ts';
import type { DataPaths } from './layout.ts';

/** Which processes and which folder outside of the data folder belong to the server that runs on it. */
export type RunRecord = {
  readonly server: ProcessIdentity;
  readonly workerd?: ProcessIdentity;
  /** Holds workerd's socket. */
  readonly socketDirectory?: string;
};

const processIdentity = z.object({ pid: z.int().check(z.positive()), started: z.string() });
const runRecordFile = z.object({
  server: processIdentity,
  workerd: z.optional(processIdentity),
  socket_directory: z.optional(z.string()),
});

export type DataDirectoryLock = {
  readonly record: (record: RunRecord) => void;
  readonly release: () => void;
};

/** `undefined` when nobody runs on the folder, or the record is damaged. */
export function readRunRecord(path: string): RunRecord | undefined {
  try {
    const file = z.parse(runRecordFile, JSON.parse(readFileSync(path, 'utf8')));
    return {
      server: file.server,
      ...(file.workerd === undefined ? {} : { workerd: file.workerd }),
      ...(file.socket_directory === undefined ? {} : { socketDirectory: file.socket_directory }),
    };
  } catch {
    // It only serves the message below and tidying up; the lock itself does not depend on it.
    return undefined;
  }
}

/**
 * Takes the data folder for this process.
 *
 * @returns the lock, and what a server that crashed on this folder left behind
 * @throws EdgeServerError `data_directory_in_use`
 */
export function lockDataDirectory(
  directory: string,
  paths: DataPaths,
): { readonly lock: DataDirectoryLock; readonly leftBehind: RunRecord | undefined } {
  const release = takeFileLock(paths.lock);
  if (release === undefined) {
    const owner = readRunRecord(paths.runRecord)?.server;
    const who = owner !== undefined && isSameProcess(owner) ? ` (process ${owner.pid} here)` : '';
    throw new EdgeServerError(
      'data_directory_in_use',
      `The data folder ${directory} is in use by another edge server${who}. Stop that one, or choose another folder with --data or COUNTERSIGN_DATA.`,
    );
  }
  const leftBehind = readRunRecord(paths.runRecord);
  return {
    leftBehind,
    lock: {
      record: ({ server, workerd, socketDirectory }) => {
        const file: z.infer<typeof runRecordFile> = {
          server,
          ...(workerd === undefined ? {} : { workerd }),
          ...(socketDirectory === undefined ? {} : { socket_directory: socketDirectory }),
        };
        replaceFile(paths.runRecord, `${JSON.stringify(file)}\n`);
      },
      release: () => {
        rmSync(paths.runRecord, { force: true });
        release();
      },
    },
  };
}
