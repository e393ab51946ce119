import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Writes a file (0600) as a whole, with its folder (0700). */
export function writePrivateFile(path: string, content: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = join(dirname(path), `.new-${process.pid}`);
  writeFileSync(temporary, content, { mode: 0o600 });
  renameSync(temporary, path);
}

/** The text in the file; the first time, what `make` returns. */
export function keepPrivateText(path: string, make: () => string): string {
  try {
    return readFileSync(path, 'utf8').trimEnd();
  } catch {
    const text = make();
    writePrivateFile(path, `${text}\n`);
    return text;
  }
}

export const randomText = (bytes: number) => randomBytes(bytes).toString('base64url');
