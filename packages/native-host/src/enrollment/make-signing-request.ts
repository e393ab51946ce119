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
import { keyId, newKeyId } from '../keystore/key-id.ts';
import {
  isTokenReason,
  type KeyStore,
  type KeyStoreReason,
  type KeyStores,
  type TokenReason,
} from '../keystore/keystore.ts';
import { type Failure, fail, type Result, succeed } from '../result.ts';
import { readPrivateFile, removePrivateFile, writePrivateFile } from '../state/private-file.ts';
import { parseStrictJsonBytes } from '../strict-json.ts';

/** Ignored by the broker, which takes nothing but the key; here for whoever looks at the request. */
const subjectCommonName = 'Countersign device';
const maxFileBytes = 64 * 1024;

const pendingFile = z.strictObject({
  version: z.literal(1),
  csr: enrollmentRequest.shape.csr,
  /** Of the key in the request, when it is to take the place of another. */
  key_id: z.optional(keyId),
});

export type SigningRequest = {
  /** PKCS#10, DER. */
  readonly csr: Uint8Array;
  /** The key in it: SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  /** Names that key, as `KeyStores` does. */
  readonly keyId?: string;
  /** True when an earlier attempt made it. */
  readonly wasKept: boolean;
};

type PendingRequest = Omit<SigningRequest, 'wasKept'>;

export type SigningRequestReason = 'key_unavailable' | 'state_unwritable' | TokenReason;

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
  const path = pathIn(stateDirectory);
  const spki = await ensureKey(keyStore);
  if (!spki.ok) return spki;
  const isForKey = (pending: PendingRequest) => Buffer.from(pending.spki).equals(spki.value);
  const kept = readPendingRequest(path);
  if (kept.ok && isForKey(kept.value)) return succeed({ ...kept.value, wasKept: true });

  const csr = await makeSigningRequest(spki.value, keyStore);
  if (!csr.ok) return csr;
  const made: PendingRequest = { csr: csr.value, spki: spki.value };
  const written = writePendingRequest(path, made, kept);
  if (!written.ok) return written;
  // Another attempt at the same time may have been first; both then send its request.
  const first = readPendingRequest(path);
  return succeed({ ...(first.ok && isForKey(first.value) ? first.value : made), wasKept: false });
}

/**
 * The signing request of a key that is to take the place of the device's key. The request of an earlier attempt to do
 * that is gone on with; the request of a first enrollment is not, since its key is what is to be replaced.
 */
export async function keepReplacementRequest(
  stateDirectory: string,
  keyStores: KeyStores,
): Promise<Result<SigningRequest, SigningRequestReason>> {
  const path = pathIn(stateDirectory);
  const kept = readPendingRequest(path);
  if (kept.ok && (await isReplacement(kept.value, keyStores))) {
    return succeed({ ...kept.value, wasKept: true });
  }
  const id = newKeyId();
  const keyStore = keyStores.open(id);
  const made = await makeReplacement(id, keyStore);
  if (!made.ok) return giveUp(keyStore, made);
  const written = writePendingRequest(path, made.value, kept);
  if (!written.ok) return giveUp(keyStore, written);
  // As above; the key of whoever comes second is of no use then.
  const first = readPendingRequest(path);
  if (!first.ok || first.value.keyId === id || !(await isReplacement(first.value, keyStores))) {
    return succeed({ ...made.value, wasKept: false });
  }
  await keyStore.delete();
  return succeed({ ...first.value, wasKept: false });
}

/** Leaves no key behind that nothing names. */
async function giveUp<Reason extends string>(
  keyStore: KeyStore,
  failure: Failure<Reason>,
): Promise<Failure<Reason>> {
  await keyStore.delete();
  return failure;
}

async function makeReplacement(
  id: string,
  keyStore: KeyStore,
): Promise<Result<PendingRequest, SigningRequestReason>> {
  const spki = await ensureKey(keyStore);
  if (!spki.ok) return spki;
  const csr = await makeSigningRequest(spki.value, keyStore);
  return csr.ok ? succeed({ csr: csr.value, spki: spki.value, keyId: id }) : csr;
}

async function isReplacement(pending: PendingRequest, keyStores: KeyStores): Promise<boolean> {
  if (pending.keyId === undefined) return false;
  const key = await keyStores.open(pending.keyId).publicKeySpki();
  return key.ok && Buffer.from(pending.spki).equals(key.value);
}

async function ensureKey(keyStore: KeyStore): Promise<Result<Uint8Array, SigningRequestReason>> {
  const key = await keyStore.ensureKey();
  return key.ok ? key : describeKeyFailure(key);
}

/** What a keystore's failure is called in the `countersign` command. */
export function describeKeyFailure({
  reason,
  detail,
}: Failure<KeyStoreReason>): Failure<SigningRequestReason> {
  if (isTokenReason(reason)) return fail(reason, detail);
  return fail(reason === 'store_unavailable' ? 'state_unwritable' : 'key_unavailable', detail);
}

/** After the enrollment is complete, and when the broker will never certify the key in it. */
export function dropSigningRequest(stateDirectory: string): void {
  // Should it stay, it is harmless: it holds no secret and is only ever used with the key it was made for.
  removePrivateFile(pathIn(stateDirectory));
}

/** Keeps the request in place of the one that was found, unless yet another was kept since. */
function writePendingRequest(
  path: string,
  { csr, keyId: id }: PendingRequest,
  found: Result<PendingRequest, 'missing' | 'unusable'>,
): Result<undefined, 'state_unwritable'> {
  if (found.ok || found.reason === 'unusable') {
    const removed = removePrivateFile(path);
    if (!removed.ok) return fail('state_unwritable', removed.detail);
  }
  const file: z.infer<typeof pendingFile> = {
    version: 1,
    csr: encodeBase64url(csr),
    ...(id === undefined ? {} : { key_id: id }),
  };
  const written = writePrivateFile(path, Buffer.from(`${JSON.stringify(file)}\n`), {
    keepExisting: true,
  });
  return written.ok ? succeed(undefined) : fail('state_unwritable', written.detail);
}

/** `unusable`: it is damaged. */
function readPendingRequest(path: string): Result<PendingRequest, 'missing' | 'unusable'> {
  const bytes = readPrivateFile(path, maxFileBytes);
  if (!bytes.ok) return fail(bytes.reason === 'missing' ? 'missing' : 'unusable', bytes.detail);
  const json = parseStrictJsonBytes(bytes.value);
  const file = json.ok ? parseFields(pendingFile, json.value) : json;
  const csr = file.ok ? decodeBase64url(file.value.csr) : undefined;
  const request = csr && parseCertificationRequest(csr);
  if (!file.ok || !csr || !request?.ok) return fail('unusable', `${path} is not a request`);
  const { spki } = request.value.subjectPublicKey;
  const { key_id } = file.value;
  return succeed({ csr, spki, ...(key_id === undefined ? {} : { keyId: key_id }) });
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
  if (!signature.ok) return describeKeyFailure(signature);
  const csr = assembleCertificationRequest(requestInfo.value, signature.value, key.value);
  return csr.ok ? csr : unusableKey(csr);
}

function unusableKey(failure: Extract<X509Result<unknown>, { ok: false }>) {
  return fail('key_unavailable', `the keystore's key: ${failure.detail}`);
}
