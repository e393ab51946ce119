import { join } from 'node:path';
import { parseFields } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';
import { fail, type Result, succeed } from '../../result.ts';
import {
  ensurePrivateFolder,
  readPrivateFile,
  writePrivateFile,
} from '../../state/private-file.ts';
import { parseStrictJsonBytes } from '../../strict-json.ts';
import { keyStoreFailure } from '../file-keystore.ts';
import { keyId, newKeyId } from '../key-id.ts';
import type { KeyStoreReason } from '../keystore.ts';

/**
 * Tells the keys of this state folder from all others on the token, which other people and, on a network, other devices
 * may use too. Lost with the folder; the keys then stay on the token, unused.
 */
const scopeFile = z.strictObject({ version: z.literal(1), scope: keyId });
const maxFileBytes = 4096;
const unnamedKey = '0'.repeat(16);

/** What the objects of the keys of one state folder are called on the token. */
export class TokenScope {
  /** CKA_LABEL of every one of them. */
  readonly label: string;
  readonly #scope: string;

  constructor(scope: string) {
    this.#scope = scope;
    this.label = `Countersign ${scope}`;
  }

  /** CKA_ID of the key of this id, and of its certificate: 16 bytes. */
  idOf(id: string | undefined): Uint8Array {
    return Buffer.from(this.#scope + (id ?? unnamedKey), 'hex');
  }
}

function pathIn(stateDirectory: string): string {
  return join(stateDirectory, 'token-scope.json');
}

/** The scope of the folder; `undefined` when there is none, and so no key. */
export function readTokenScope(
  stateDirectory: string,
): Result<TokenScope | undefined, KeyStoreReason> {
  const path = pathIn(stateDirectory);
  const bytes = readPrivateFile(path, maxFileBytes);
  if (!bytes.ok) return bytes.reason === 'missing' ? succeed(undefined) : keyStoreFailure(bytes);
  const json = parseStrictJsonBytes(bytes.value);
  if (!json.ok) return fail('key_damaged', `${path} ${json.detail}`);
  const file = parseFields(scopeFile, json.value);
  return file.ok
    ? succeed(new TokenScope(file.value.scope))
    : fail('key_damaged', `${path}: ${file.field} ${file.detail}`);
}

/** The scope of the folder, made when there is none. */
export function ensureTokenScope(stateDirectory: string): Result<TokenScope, KeyStoreReason> {
  const folder = ensurePrivateFolder(stateDirectory);
  if (!folder.ok) return keyStoreFailure(folder);
  const existing = readTokenScope(stateDirectory);
  if (!existing.ok) return existing;
  if (existing.value !== undefined) return succeed(existing.value);
  const file: z.infer<typeof scopeFile> = { version: 1, scope: newKeyId() };
  // Of two that do this at the same time, both go on with the first one's.
  const kept = writePrivateFile(pathIn(stateDirectory), Buffer.from(`${JSON.stringify(file)}\n`), {
    keepExisting: true,
  });
  if (!kept.ok) return keyStoreFailure(kept);
  const made = readTokenScope(stateDirectory);
  if (!made.ok) return made;
  return made.value === undefined
    ? fail('store_unavailable', `${pathIn(stateDirectory)} was removed at once`)
    : succeed(made.value);
}
