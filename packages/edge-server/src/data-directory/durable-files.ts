import {
  closeSync,
  fchmodSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { systemErrorCode } from '../edge-server-error.ts';
import { directoryMode, fileMode } from './layout.ts';

/** Makes a folder that only this user can enter, whatever the umask. */
export function makePrivateDirectory(path: string): void {
  mkdirSync(path, { mode: directoryMode });
}

/** Makes the entries of a folder durable. */
export function syncDirectory(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Writes a new file, 0600, to the disk. */
export function writeNewFile(path: string, content: string | Uint8Array): void {
  const descriptor = openSync(path, 'wx', fileMode);
  try {
    fchmodSync(descriptor, fileMode);
    writeFileSync(descriptor, content);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

let replacements = 0;

function temporaryBeside(path: string): string {
  replacements += 1;
  return join(dirname(path), `.new-${process.pid}-${replacements}`);
}

/** Writes a file as a whole where there is none; one that is there already, or came meanwhile, stays. */
export function writeFileOnce(path: string, content: string | Uint8Array): void {
  const temporary = temporaryBeside(path);
  writeNewFile(temporary, content);
  try {
    linkSync(temporary, path);
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
  syncDirectory(dirname(path));
}

/** Replaces a file as a whole: after a crash there is either the old content or the new one. */
export function replaceFile(path: string, content: string | Uint8Array): void {
  const temporary = temporaryBeside(path);
  writeNewFile(temporary, content);
  renameSync(temporary, path);
  syncDirectory(dirname(path));
}
