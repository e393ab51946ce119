import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** Writes a file that every user may read, whole or not at all, with the folders above it. Throws what Node throws. */
export function writePublicFile(path: string, text: string, mode: number): void {
  mkdirSync(dirname(path), { recursive: true });
  const unfinished = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    writeFileSync(unfinished, text, { flag: 'wx', mode });
    // The process's umask may have taken bits away that other users need.
    chmodSync(unfinished, mode);
    renameSync(unfinished, path);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
}
