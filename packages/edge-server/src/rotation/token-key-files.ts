import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { replaceFile, syncDirectory, writeNewFile } from '../data-directory/durable-files.ts';
import { jwkThumbprint } from '../data-directory/key-set.ts';
import type { DataPaths } from '../data-directory/layout.ts';
import { parseDataFile } from '../data-directory/parse-data-file.ts';
import {
  newP256Key,
  type P256PublicJwk,
  publicJwkOf,
  readP256Key,
} from '../data-directory/private-key.ts';
import { EdgeServerError } from '../edge-server-error.ts';
import {
  forEachPurpose,
  formatTokenKeys,
  keyIdsOf,
  parseTokenKeys,
  type TokenKeyPurpose,
  type TokenKeys,
  tokenKeyPurposes,
} from './token-keys.ts';

/**
 * Token keys in the data folder: one file for each key, named by its kid, and `token-keys.json`, which says what each
 * is for. Only a key that is named there counts, and that file is replaced as a whole: each step of a rotation is that
 * one replacement, and what a crash leaves besides is swept away later.
 */

/** Makes a key that nothing names yet. @returns its kid */
export function makeTokenKey(paths: DataPaths, purpose: TokenKeyPurpose): string {
  const { privateKey, pem } = newP256Key();
  const kid = jwkThumbprint(publicJwkOf(privateKey));
  writeNewFile(paths.tokenKey(purpose, kid), pem);
  syncDirectory(paths.keys);
  return kid;
}

/** First keys for all purposes, in use, in a folder that is being made. */
export function makeFirstTokenKeys(paths: DataPaths, nowMs: number): TokenKeys {
  const keys: TokenKeys = forEachPurpose((purpose) => ({
    inUse: { kid: makeTokenKey(paths, purpose), sinceMs: nowMs },
  }));
  writeNewFile(paths.tokenKeys, formatTokenKeys(keys));
  return keys;
}

export function writeTokenKeys(paths: DataPaths, keys: TokenKeys): void {
  replaceFile(paths.tokenKeys, formatTokenKeys(keys));
}

/** @throws EdgeServerError `data_directory_unusable` */
export function readTokenKeys(paths: DataPaths): TokenKeys {
  return parseTokenKeys(readFileSync(paths.tokenKeys, 'utf8'), paths.tokenKeys);
}

/** Files that must exist for these keys. */
export function tokenKeyFiles(paths: DataPaths, keys: TokenKeys): string[] {
  return tokenKeyPurposes.flatMap((purpose) =>
    keyIdsOf(keys[purpose]).map((kid) => paths.tokenKey(purpose, kid)),
  );
}

/**
 * Public halves, the one in use first.
 *
 * @throws EdgeServerError `data_directory_unusable` when a file holds another key than its name says
 */
export function readPublicKeys(
  paths: DataPaths,
  keys: TokenKeys,
  purpose: TokenKeyPurpose,
): P256PublicJwk[] {
  return keyIdsOf(keys[purpose]).map((kid) => {
    const path = paths.tokenKey(purpose, kid);
    const publicJwk = publicJwkOf(readP256Key(path));
    if (jwkThumbprint(publicJwk) === kid) return publicJwk;
    throw new EdgeServerError(
      'data_directory_unusable',
      `${path} holds another key than its name says. Restore it from a backup.`,
    );
  });
}

function isTokenKeyFile(name: string): boolean {
  return tokenKeyPurposes.some(
    (purpose) =>
      name.startsWith(purpose) && /^(-[\w-]{43})?\.pem$/.test(name.slice(purpose.length)),
  );
}

/**
 * Removes the private keys that nothing names: retired ones, new ones that a crash kept from being published, and those
 * that were taken over from an older folder. Only while nobody else serves the folder, and nothing still reads them.
 */
export function sweepTokenKeys(paths: DataPaths, keys: TokenKeys): void {
  const named = new Set(tokenKeyFiles(paths, keys));
  for (const name of readdirSync(paths.keys)) {
    const path = join(paths.keys, name);
    if (isTokenKeyFile(name) && !named.has(path)) rmSync(path, { force: true });
  }
}

/** Where folders had them that were made before keys could be rotated: one key for each purpose. */
const olderFile = (paths: DataPaths, purpose: TokenKeyPurpose) =>
  join(paths.keys, `${purpose}.pem`);
const olderPurposes = ['challenge', 'decision', 'response'] as const;

const olderTokenKeysFile = z.looseObject({ version: z.literal(1), challenge: z.unknown() });

/** Checkpoints of the log came later than rotation: a folder without a key for them gets one, in use at once. */
function addAuditKey(paths: DataPaths, nowMs: number): void {
  const file = parseDataFile(
    olderTokenKeysFile,
    readFileSync(paths.tokenKeys, 'utf8'),
    paths.tokenKeys,
  );
  if ('audit' in file) return;
  const audit = {
    in_use: { kid: makeTokenKey(paths, 'audit'), since: new Date(nowMs).toISOString() },
  };
  const text = `${JSON.stringify({ ...file, audit }, undefined, 2)}\n`;
  writeTokenKeys(paths, parseTokenKeys(text, paths.tokenKeys));
}

/** Takes the keys of a folder over that was made by an earlier version. Leaves any other folder as it is. */
export function adoptOlderTokenKeys(paths: DataPaths, nowMs: number): void {
  if (existsSync(paths.tokenKeys)) {
    addAuditKey(paths, nowMs);
    return;
  }
  if (!olderPurposes.every((purpose) => existsSync(olderFile(paths, purpose)))) return;
  const adopted = forEachPurpose((purpose) => {
    const path = olderFile(paths, purpose);
    // The purpose came later than the folder.
    if (!existsSync(path)) return { inUse: { kid: makeTokenKey(paths, purpose), sinceMs: nowMs } };
    const kid = jwkThumbprint(publicJwkOf(readP256Key(path)));
    replaceFile(paths.tokenKey(purpose, kid), readFileSync(path));
    return { inUse: { kid, sinceMs: nowMs } };
  });
  writeTokenKeys(paths, adopted);
}
