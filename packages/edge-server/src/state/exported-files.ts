import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { makePrivateDirectory, writeNewFile } from '../data-directory/durable-files.ts';
import { isIssuerName, readIssuers } from '../data-directory/issuers.ts';
import { dataPaths, issuerFiles, rootKeyFile } from '../data-directory/layout.ts';
import { EdgeServerError } from '../edge-server-error.ts';
import type { KeyFiles } from './sealed-keys.ts';

/**
 * What an export has of the data folder beside the databases: always these, and the files of its issuers, however many
 * there are. Token keys are not among it: they live for minutes, and an import makes new ones, so that nothing from
 * before it can be used afterwards.
 */
const always: readonly string[] = [
  'deployment.json',
  'owner-token',
  'key-set.jws',
  'keys/device-id.key',
  'keys/key-set-signer.pem',
  'certificates/root.pem',
  'certificates/key-set-signer.pem',
];

/** Exports of earlier versions lack them; an import makes new ones then. The root's key may be kept elsewhere. */
const perhaps: readonly string[] = [
  'issuers.json',
  'keys/scep-ra.pem',
  'keys/stored-secrets.key',
  'served.json',
  rootKeyFile,
];

function isIssuerFile(name: string): boolean {
  const [, issuer = ''] = /^(?:keys|certificates)\/(.+)\.pem$/.exec(name) ?? [];
  return isIssuerName(issuer);
}

function readAll(directory: string): KeyFiles {
  const issuers = readIssuers(dataPaths(directory));
  const there = perhaps.filter((name) => existsSync(join(directory, name)));
  return Object.fromEntries(
    [...always, ...there, ...issuerFiles(issuers)].map((name) => [
      name,
      readFileSync(join(directory, name)).toString('base64url'),
    ]),
  );
}

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

/** Writes the files, but those left out, into an empty folder. Whatever else the export may hold is not written. */
export function writeExportedFiles(
  directory: string,
  files: KeyFiles,
  without: readonly string[],
): void {
  const paths = dataPaths(directory);
  makePrivateDirectory(paths.keys);
  makePrivateDirectory(paths.certificates);
  for (const name of always) exportedText(files, name);
  const others = Object.keys(files).filter((name) => perhaps.includes(name) || isIssuerFile(name));
  for (const name of [...always, ...others].filter((each) => !without.includes(each))) {
    const path = join(directory, name);
    if (![directory, paths.keys, paths.certificates].includes(dirname(path))) continue;
    writeNewFile(path, Buffer.from(files[name] ?? '', 'base64url'));
  }
}
