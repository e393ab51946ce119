import { closeSync, fsyncSync, linkSync, openSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { syncDirectory } from '../data-directory/durable-files.ts';
import { fileMode } from '../data-directory/layout.ts';
import { EdgeServerError, systemErrorCode } from '../edge-server-error.ts';
import { firstAfter, hashOfLine } from './state-file.ts';

export type StateFileWriter = {
  /** SHA-256 of the line before, which the next line names. */
  readonly after: () => string;
  /** Writes an object as a line; `after` is put into it. */
  readonly write: (line: Readonly<Record<string, unknown>>) => void;
  /** Gives the finished file its name. */
  readonly finish: () => void;
  /** Removes what was written. */
  readonly abandon: () => void;
};

const exists = (path: string) =>
  new EdgeServerError(
    'setting_invalid',
    `${path} exists already. An export overwrites nothing: choose another name.`,
  );

/** A file that has its name only when it is complete and on the disk. Nobody else may read it. */
export function createStateFile(path: string): StateFileWriter {
  const unfinished = `${path}.unfinished-${process.pid}`;
  const descriptor = openSync(unfinished, 'wx', fileMode);
  let after = firstAfter;
  return {
    after: () => after,
    write(line) {
      const text = JSON.stringify({ ...line, after });
      const bytes = Buffer.from(`${text}\n`, 'utf8');
      for (let written = 0; written < bytes.length; ) {
        written += writeSync(descriptor, bytes, written);
      }
      after = hashOfLine(text);
    },
    finish() {
      fsyncSync(descriptor);
      closeSync(descriptor);
      try {
        // Unlike a rename, this overwrites nothing.
        linkSync(unfinished, path);
      } catch (error) {
        throw systemErrorCode(error) === 'EEXIST' ? exists(path) : error;
      } finally {
        rmSync(unfinished, { force: true });
      }
      syncDirectory(dirname(path));
    },
    abandon() {
      rmSync(unfinished, { force: true });
    },
  };
}
