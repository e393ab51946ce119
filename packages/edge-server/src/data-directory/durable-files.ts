import {
  closeSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
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

/** Replaces a file as a whole: after a crash there is either the old content or the new one. */
export function replaceFile(path: string, content: string | Uint8Array): void {
  replacements += 1;
  const temporary = join(dirname(path), `.new-${process.pid}-${replacements}`);
  writeNewFile(temporary, content);
  renameSync(temporary, path);
  syncDirectory(dirname(path));
}
