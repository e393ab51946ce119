import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

const prefix = 'countersign-edge-';
const socketName = 'workerd.sock';
/** The path of a unix socket may have 107 bytes on Linux and 103 on macOS. */
const maxSocketPathBytes = 103;

export type SocketDirectory = {
  readonly path: string;
  readonly socket: string;
  readonly remove: () => void;
};

/** Where the socket lies in such a folder. */
export function socketIn(directory: string): string {
  return join(directory, socketName);
}

function removeSocketDirectory(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

/** A new folder (0700) of this user for workerd's socket, in the folder for temporary files. */
export function makeSocketDirectory(temporary: string = tmpdir()): SocketDirectory {
  const length = Buffer.byteLength(join(temporary, `${prefix}XXXXXX`, socketName));
  const path = mkdtempSync(join(length > maxSocketPathBytes ? '/tmp' : temporary, prefix));
  return { path, socket: socketIn(path), remove: () => removeSocketDirectory(path) };
}

/**
 * Removes the folder that a crashed server recorded, if it is what it should be: a wrong record must not delete
 * anything else.
 */
export function removeLeftSocketDirectory(path: string): void {
  if (!basename(path).startsWith(prefix)) return;
  if (dirname(path) !== tmpdir() && dirname(path) !== '/tmp') return;
  try {
    if (readdirSync(path).every((name) => name === socketName)) removeSocketDirectory(path);
  } catch {
    // It is gone already.
  }
}
