import { DatabaseSync } from 'node:sqlite';
import { EdgeServerError, errorText, systemErrorCode } from '../edge-server-error.ts';
import { writeNewFile } from './durable-files.ts';

/** Opened only to be created: closing a descriptor of it would drop a lock that this process holds. */
function createLockFile(path: string): void {
  try {
    writeNewFile(path, '');
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw error;
  }
}

/**
 * Takes a file for this process alone. The lock is SQLite's lock on an otherwise unused file: the system gives it up
 * with the process, however that ends, and no process number has to be trusted.
 *
 * @returns gives it up; `undefined` when another process has it
 * @throws EdgeServerError `data_directory_unusable` where there are no locks
 */
export function takeFileLock(path: string): (() => void) | undefined {
  createLockFile(path);
  const database = new DatabaseSync(path);
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (/locked/.test(errorText(error))) return undefined;
    throw new EdgeServerError(
      'data_directory_unusable',
      `The file ${path} cannot be locked (${errorText(error)}). The data folder must be on a file system of this machine that knows locks.`,
      { cause: error },
    );
  }
  return () => database.close();
}
