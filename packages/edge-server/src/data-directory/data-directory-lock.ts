import { readFileSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import * as z from 'zod/mini';
import { EdgeServerError, errorText, systemErrorCode } from '../edge-server-error.ts';
import { isSameProcess, type ProcessIdentity } from '../process-identity.ts';
import { replaceFile, writeNewFile } from './durable-files.ts';
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

/** Opened only to be created: closing a descriptor of it would drop a lock that this process holds. */
function createLockFile(path: string): void {
  try {
    writeNewFile(path, '');
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw error;
  }
}

/**
 * Takes the data folder for this process. The lock is SQLite's lock on an otherwise unused file: the system gives it
 * up with the process, however that ends, and no process number has to be trusted.
 *
 * @returns the lock, and what a server that crashed on this folder left behind
 * @throws EdgeServerError `data_directory_in_use`
 */
export function lockDataDirectory(
  directory: string,
  paths: DataPaths,
): { readonly lock: DataDirectoryLock; readonly leftBehind: RunRecord | undefined } {
  createLockFile(paths.lock);
  const database = new DatabaseSync(paths.lock);
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (!/locked/.test(errorText(error))) {
      throw new EdgeServerError(
        'data_directory_unusable',
        `The file ${paths.lock} cannot be locked (${errorText(error)}). The data folder must be on a file system of this machine that knows locks.`,
        { cause: error },
      );
    }
    const owner = readRunRecord(paths.runRecord)?.server;
    const who = owner !== undefined && isSameProcess(owner) ? ` (process ${owner.pid} here)` : '';
    throw new EdgeServerError(
      'data_directory_in_use',
      `The data folder ${directory} is in use by another edge server${who}. Stop that one, or choose another folder with --data or COUNTERSIGN_DATA.`,
      { cause: error },
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
        database.close();
      },
    },
  };
}
