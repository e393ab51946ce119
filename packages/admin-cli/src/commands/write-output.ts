import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { IntegrationSecretAnswer } from '@countersign/protocol/admin-integrations';
import { CommandError } from '../command-line/command.ts';

/** Secrets and logs: nobody else on the machine may read them. */
const fileMode = 0o600;
const directoryMode = 0o700;

const codeOf = (error: unknown) =>
  error instanceof Error && 'code' in error ? String(error.code) : 'unwritable';

function orFail<Value>(path: string, write: () => Value): Value {
  try {
    return write();
  } catch (error) {
    throw new CommandError(`${path} cannot be written (${codeOf(error)})`);
  }
}

/** Text after what a file has; on the disk when this returns. */
export function appendToFile(path: string, text: string): void {
  orFail(path, () => {
    const descriptor = openSync(path, 'a', fileMode);
    try {
      const bytes = Buffer.from(text, 'utf8');
      for (let written = 0; written < bytes.length; ) {
        written += writeSync(descriptor, bytes, written);
      }
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  });
}

/** Whole or not at all. */
export function replaceFile(path: string, text: string): void {
  orFail(path, () => {
    const unfinished = `${path}.unfinished-${process.pid}`;
    writeFileSync(unfinished, text, { mode: fileMode, flush: true });
    renameSync(unfinished, path);
  });
}

/** A folder that must not be there yet: nothing is overwritten, and nothing of before is mixed in. */
export function makeNewDirectory(path: string): void {
  orFail(path, () => mkdirSync(path, { mode: directoryMode }));
}

/** @returns the paths */
export function writeScripts(
  directory: string,
  scripts: IntegrationSecretAnswer['scripts'],
): string[] {
  orFail(directory, () => mkdirSync(directory, { recursive: true, mode: directoryMode }));
  const files = [
    [join(directory, 'enroll.sh'), scripts.posix],
    [join(directory, 'enroll.ps1'), scripts.windows],
  ] as const;
  for (const [path, text] of files) replaceFile(path, text);
  return files.map(([path]) => path);
}
