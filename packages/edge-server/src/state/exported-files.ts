import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { makePrivateDirectory, writeNewFile } from '../data-directory/durable-files.ts';
import { dataPaths } from '../data-directory/layout.ts';
import { EdgeServerError } from '../edge-server-error.ts';
import type { KeyFiles } from './sealed-keys.ts';

/**
 * What an export has of the data folder beside the databases. Token keys are not among it: they live for minutes, and
 * an import makes new ones, so that nothing from before it can be used afterwards.
 */
export const exportedFiles: readonly string[] = [
  'deployment.json',
  'owner-token',
  'key-set.jws',
  'keys/device-id.key',
  'keys/root.pem',
  'keys/issuer.pem',
  'keys/key-set-signer.pem',
  'certificates/root.pem',
  'certificates/issuer.pem',
  'certificates/key-set-signer.pem',
];

const readAll = (directory: string): KeyFiles =>
  Object.fromEntries(
    exportedFiles.map((name) => [name, readFileSync(join(directory, name)).toString('base64url')]),
  );

/** The server may be replacing one of them just now: read until twice the same. */
export function readExportedFiles(directory: string): KeyFiles {
  let files = readAll(directory);
  for (let again = readAll(directory); ; again = readAll(directory)) {
    if (isDeepStrictEqual(files, again)) return files;
    files = again;
  }
}

/** The content of a file of the export, as text. */
export function exportedText(files: KeyFiles, name: string): string {
  const content = files[name];
  if (content === undefined) {
    throw new EdgeServerError('state_file_invalid', `The keys of the export lack ${name}.`);
  }
  return Buffer.from(content, 'base64url').toString('utf8');
}

/** Writes the files, but those left out, into an empty folder. */
export function writeExportedFiles(
  directory: string,
  files: KeyFiles,
  without: readonly string[],
): void {
  const paths = dataPaths(directory);
  makePrivateDirectory(paths.keys);
  makePrivateDirectory(paths.certificates);
  for (const name of exportedFiles.filter((each) => !without.includes(each))) {
    exportedText(files, name);
    const path = join(directory, name);
    if (![directory, paths.keys, paths.certificates].includes(dirname(path))) continue;
    writeNewFile(path, Buffer.from(files[name] ?? '', 'base64url'));
  }
}
