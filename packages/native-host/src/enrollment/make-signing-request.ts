import { join } from 'node:path';
import { decodeBase64url, encodeBase64url } from '@countersign/protocol';
import { enrollmentRequest } from '@countersign/protocol/enrollment';
import { parseFields } from '@countersign/protocol/schemas';
import {
  assembleCertificationRequest,
  buildCertificationRequestInfo,
  parseCertificationRequest,
  parseSubjectPublicKeyInfo,
  type X509Result,
} from '@countersign/x509';
import * as z from 'zod/mini';
import type { KeyStore } from '../keystore/keystore.ts';
import { fail, type Result, succeed } from '../result.ts';
import { readPrivateFile, removePrivateFile, writePrivateFile } from '../state/private-file.ts';
import { parseStrictJsonBytes } from '../strict-json.ts';

/** Ignored by the broker, which takes nothing but the key; here for whoever looks at the request. */
const subjectCommonName = 'Countersign device';
const maxFileBytes = 64 * 1024;

const pendingFile = z.strictObject({ version: z.literal(1), csr: enrollmentRequest.shape.csr });

export type SigningRequest = {
  /** PKCS#10, DER. */
  readonly csr: Uint8Array;
  /** The key in it: SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  /** True when an earlier attempt made it. */
  readonly wasKept: boolean;
};

export type SigningRequestReason = 'key_unavailable' | 'state_unwritable';

function pathIn(stateDirectory: string): string {
  return join(stateDirectory, 'pending-enrollment.json');
}

/**
 * The certificate signing request of this device. It is kept until the enrollment is complete, because an attempt
 * whose answer got lost is repeated with the very same request and then gets the very same certificate.
 */
export async function keepSigningRequest(
  stateDirectory: string,
  keyStore: KeyStore,
): Promise<Result<SigningRequest, SigningRequestReason>> {
  const key = await keyStore.ensureKey();
  if (!key.ok) {
    return fail(
      key.reason === 'store_unavailable' ? 'state_unwritable' : 'key_unavailable',
      key.detail,
    );
  }
  const spki = key.value;
  const path = pathIn(stateDirectory);
  const kept = readKeptRequest(path, spki);
  if (kept.ok) return succeed({ csr: kept.value, spki, wasKept: true });

  const made = await makeSigningRequest(spki, keyStore);
  if (!made.ok) return made;
  if (kept.reason === 'unusable') {
    const removed = removePrivateFile(path);
    if (!removed.ok) return fail('state_unwritable', removed.detail);
  }
  const file: z.infer<typeof pendingFile> = { version: 1, csr: encodeBase64url(made.value) };
  const written = writePrivateFile(path, Buffer.from(`${JSON.stringify(file)}\n`), {
    keepExisting: true,
  });
  if (!written.ok) return fail('state_unwritable', written.detail);
  // Another attempt at the same time may have been first; both then send its request.
  const first = readKeptRequest(path, spki);
  return succeed({ csr: first.ok ? first.value : made.value, spki, wasKept: false });
}

/** After the enrollment is complete. */
export function dropSigningRequest(stateDirectory: string): void {
  // Should it stay, it is harmless: it holds no secret and is only ever used with the key it was made for.
  removePrivateFile(pathIn(stateDirectory));
}

/** `unusable`: it is damaged, or it is for another key than this one. */
function readKeptRequest(
  path: string,
  spki: Uint8Array,
): Result<Uint8Array, 'missing' | 'unusable'> {
  const bytes = readPrivateFile(path, maxFileBytes);
  if (!bytes.ok) return fail(bytes.reason === 'missing' ? 'missing' : 'unusable', bytes.detail);
  const json = parseStrictJsonBytes(bytes.value);
  const file = json.ok ? parseFields(pendingFile, json.value) : json;
  const csr = file.ok ? decodeBase64url(file.value.csr) : undefined;
  const request = csr && parseCertificationRequest(csr);
  return csr && request?.ok && Buffer.from(spki).equals(request.value.subjectPublicKey.spki)
    ? succeed(csr)
    : fail('unusable', `${path} is not a request for this key`);
}

async function makeSigningRequest(
  spki: Uint8Array,
  keyStore: KeyStore,
): Promise<Result<Uint8Array, SigningRequestReason>> {
  const key = parseSubjectPublicKeyInfo(spki);
  if (!key.ok) return unusableKey(key);
  const requestInfo = buildCertificationRequestInfo(key.value, subjectCommonName);
  if (!requestInfo.ok) return unusableKey(requestInfo);
  const signature = await keyStore.sign(requestInfo.value);
  if (!signature.ok) return fail('key_unavailable', signature.detail);
  const csr = assembleCertificationRequest(requestInfo.value, signature.value, key.value);
  return csr.ok ? csr : unusableKey(csr);
}

function unusableKey(failure: Extract<X509Result<unknown>, { ok: false }>) {
  return fail('key_unavailable', `the keystore's key: ${failure.detail}`);
}
