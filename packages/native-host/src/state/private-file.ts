import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { fail, type Result, succeed } from '../result.ts';

/**
 * Files that only their owner may read, in a folder that only their owner may enter. Whatever others could have read
 * or changed is refused, not repaired: its content must be taken for known or forged.
 */
const privateFileMode = 0o600;
const privateFolderMode = 0o700;
const groupAndOthers = 0o077;

/** Windows has no such modes; there the folder's place in the user's profile, and its access list, do this work. */
const hasModes = process.platform !== 'win32';

export type PrivateFileReason = 'missing' | 'exposed' | 'unavailable' | 'too_large';

/** Makes the folder, mode 0700, unless it is there; refuses one that is not private. */
export function ensurePrivateFolder(path: string): Result<undefined, PrivateFileReason> {
  try {
    mkdirSync(path, { recursive: true, mode: privateFolderMode });
    return checkPrivate(path, statSync(path), 'folder');
  } catch (error) {
    return failureOf(path, error);
  }
}

/** The whole file, if it is a plain file, the reader's own, mode 0600 or tighter, in a folder as tight. */
export function readPrivateFile(
  path: string,
  maxBytes: number,
): Result<Uint8Array<ArrayBuffer>, PrivateFileReason> {
  try {
    const folder = dirname(path);
    const folderIsPrivate = checkPrivate(folder, statSync(folder), 'folder');
    if (!folderIsPrivate.ok) return folderIsPrivate;
    const file = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
    try {
      const fileIsPrivate = checkPrivate(path, fstatSync(file), 'file');
      if (!fileIsPrivate.ok) return fileIsPrivate;
      const buffer = new Uint8Array(maxBytes + 1);
      let filled = 0;
      for (let got = -1; got !== 0 && filled < buffer.length; filled += got) {
        got = readSync(file, buffer, filled, buffer.length - filled, null);
      }
      return filled > maxBytes
        ? fail('too_large', `${path} is larger than ${maxBytes} bytes`)
        : succeed(buffer.slice(0, filled));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    return failureOf(path, error);
  }
}

/**
 * Writes the whole file or nothing: a new file beside it, flushed to the disk, then put in its place. With
 * `keepExisting` a file that is there already, even since a moment ago, stays as it is.
 */
export function writePrivateFile(
  path: string,
  bytes: Uint8Array,
  { keepExisting = false } = {},
): Result<{ readonly wasKept: boolean }, PrivateFileReason> {
  const unfinished = `${path}.${newSuffix()}.tmp`;
  try {
    const file = openSync(unfinished, 'wx', privateFileMode);
    try {
      for (let written = 0; written < bytes.length; ) {
        written += writeSync(file, bytes, written);
      }
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    const wasKept = keepExisting && !linkUnlessThere(unfinished, path);
    if (keepExisting) unlinkSync(unfinished);
    else renameSync(unfinished, path);
    flushFolder(dirname(path));
    return succeed({ wasKept });
  } catch (error) {
    removeQuietly(unfinished);
    return failureOf(path, error);
  }
}

/** Removes the file; no failure when there is none. */
export function removePrivateFile(path: string): Result<undefined, PrivateFileReason> {
  try {
    unlinkSync(path);
    flushFolder(dirname(path));
    return succeed(undefined);
  } catch (error) {
    return errorCode(error) === 'ENOENT' ? succeed(undefined) : failureOf(path, error);
  }
}

/** The names in the folder. */
export function listPrivateFolder(path: string): Result<readonly string[], PrivateFileReason> {
  try {
    return succeed(readdirSync(path));
  } catch (error) {
    return failureOf(path, error);
  }
}

/** No other process, and this one at no other time, has this suffix: only hexadecimal digits. */
function newSuffix(): string {
  // Not random, because node:crypto alone would take a good part of the host's start. Nobody else writes in the folder.
  return process.pid.toString(16) + process.hrtime.bigint().toString(16);
}

/** True when `target` was made; false when it was there. */
function linkUnlessThere(source: string, target: string): boolean {
  try {
    linkSync(source, target);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

function checkPrivate(
  path: string,
  stats: Stats,
  kind: 'file' | 'folder',
): Result<undefined, PrivateFileReason> {
  if (kind === 'file' ? !stats.isFile() : !stats.isDirectory()) {
    return fail('unavailable', `${path} is not a ${kind}`);
  }
  if (!hasModes) return succeed(undefined);
  if (stats.uid !== process.geteuid?.()) {
    return fail('exposed', `${path} belongs to another user (uid ${stats.uid})`);
  }
  if ((stats.mode & groupAndOthers) !== 0) {
    const mode = (stats.mode & 0o777).toString(8).padStart(4, '0');
    const needed = kind === 'file' ? '0600' : '0700';
    return fail('exposed', `${path} has mode ${mode}: others may use it; it must be ${needed}`);
  }
  return succeed(undefined);
}

/** So that the name survives a power failure too. Windows cannot open folders and orders this itself. */
function flushFolder(path: string): void {
  if (process.platform === 'win32') return;
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Never made, or as unremovable as it was unwritable; the first error is the one worth reporting.
  }
}

function failureOf(path: string, error: unknown): ReturnType<typeof fail<PrivateFileReason>> {
  const code = errorCode(error);
  if (code === undefined) throw error;
  return code === 'ENOENT'
    ? fail('missing', `${path} does not exist`)
    : fail('unavailable', `${path} cannot be used (${code})`);
}

function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined;
}
