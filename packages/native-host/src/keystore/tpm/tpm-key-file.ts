import { join } from 'node:path';
import { decodeBase64url, encodeBase64url } from '@countersign/protocol';
import { base64urlBetween, parseFields } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';
import { fail, type Result, succeed } from '../../result.ts';
import {
  ensurePrivateFolder,
  readPrivateFile,
  removePrivateFile,
  writePrivateFile,
} from '../../state/private-file.ts';
import { parseStrictJsonBytes } from '../../strict-json.ts';
import { keyStoreFailure } from '../file-keystore.ts';
import type { KeyStoreReason } from '../keystore.ts';
import type { KeyBlob } from './tpm.ts';

const maxFileBytes = 4096;

const tpmKeyFile = z.strictObject({
  version: z.literal(1),
  algorithm: z.literal('ES256'),
  /** TPMT_PUBLIC. */
  public_area: base64urlBetween(1, 1024),
  /** Content of TPM2B_PRIVATE: encrypted by the TPM, and opened by no other. */
  private_part: base64urlBetween(1, 1024),
});

/** The file of any key, and what is left of a write that was cut off; the key id is the first group. */
export const tpmKeyFileName = /^tpm-key(?:-([0-9a-f]{16}))?\.json(?:\.[0-9a-f]+\.tmp)?$/;

export function tpmKeyPath(folder: string, keyId: string | undefined): string {
  return join(folder, `tpm-key${keyId === undefined ? '' : `-${keyId}`}.json`);
}

/** `key_missing` when there is none. */
export function readTpmKey(path: string): Result<KeyBlob, KeyStoreReason> {
  const bytes = readPrivateFile(path, maxFileBytes);
  if (!bytes.ok) return keyStoreFailure(bytes);
  const json = parseStrictJsonBytes(bytes.value);
  if (!json.ok) return fail('key_damaged', `${path} ${json.detail}`);
  const file = parseFields(tpmKeyFile, json.value);
  if (!file.ok) return fail('key_damaged', `${path}: ${file.field} ${file.detail}`);
  const [publicArea, privatePart] = [file.value.public_area, file.value.private_part].map(
    decodeBase64url,
  );
  if (!publicArea || !privatePart) return fail('key_damaged', `${path} is not base64url`);
  return succeed({ publicArea: Buffer.from(publicArea), privatePart: Buffer.from(privatePart) });
}

/** Another process may be first: then its key stays. */
export function keepTpmKey(
  folder: string,
  path: string,
  { publicArea, privatePart }: KeyBlob,
): Result<undefined, KeyStoreReason> {
  const ready = ensurePrivateFolder(folder);
  if (!ready.ok) return keyStoreFailure(ready);
  const file: z.infer<typeof tpmKeyFile> = {
    version: 1,
    algorithm: 'ES256',
    public_area: encodeBase64url(publicArea),
    private_part: encodeBase64url(privatePart),
  };
  const bytes = Buffer.from(`${JSON.stringify(file, undefined, 2)}\n`);
  const written = writePrivateFile(path, bytes, { keepExisting: true });
  return written.ok ? succeed(undefined) : keyStoreFailure(written);
}

export function removeTpmKey(path: string): Result<undefined, KeyStoreReason> {
  const removed = removePrivateFile(path);
  return removed.ok ? removed : keyStoreFailure(removed);
}
