import { writeStoredKeySet } from '../key-set/stored-key-set.ts';
import { FileKeyStores } from '../keystore/file-keystores.ts';
import { isTokenReason, type KeyStores } from '../keystore/keystore.ts';
import { fail, type Result, succeed } from '../result.ts';
import {
  type Enrollment,
  isSameEnrollment,
  readEnrollment,
  writeEnrollment,
} from './enrollment-record.ts';
import {
  describeKeyFailure,
  dropSigningRequest,
  type SigningRequest,
  type SigningRequestReason,
} from './make-signing-request.ts';
import type { VerifiedAnswer } from './verify-enrollment-answer.ts';

export type KeepInput = {
  readonly stateDirectory: string;
  readonly nowSeconds: number;
  readonly onStep?: (step: 'key_set' | 'old_key', detail: string) => void;
};

/** Goes over to the new enrollment in one write; the rest is tidying up, which can be repeated. */
export async function keepEnrollment(
  input: KeepInput,
  keyStores: KeyStores,
  { spki, keyId }: Pick<SigningRequest, 'spki' | 'keyId'>,
  { enrollment, keySet }: VerifiedAnswer,
  replaced: Enrollment | undefined,
): Promise<Result<undefined, SigningRequestReason>> {
  const { stateDirectory } = input;
  const keyStore = keyStores.open(keyId);
  const key = await keyStore.publicKeySpki();
  if (!key.ok) return describeKeyFailure(key);
  if (!Buffer.from(key.value).equals(spki)) {
    return fail('key_unavailable', 'the key was changed while the broker was asked');
  }
  const kept = await keyStore.keepCertificate(enrollment.leafCertificate);
  if (!kept.ok) return describeKeyFailure(kept);
  const enrolled = keyId === undefined ? enrollment : { ...enrollment, keyId };
  const written = writeEnrollment(stateDirectory, enrolled);
  if (!written.ok) return fail('state_unwritable', written.detail);
  // After the enrollment, since the one that is replaced may be under other keys. Without it the host asks for it.
  const stored = writeStoredKeySet(stateDirectory, keySet, input.nowSeconds);
  if (stored.ok) {
    input.onStep?.('key_set', `version ${enrollment.keySetVersion}, signed under the same root`);
  }
  const removed = await removeOtherKeys(stateDirectory, keyStores, keyId);
  if (!removed.ok) {
    const reason = isTokenReason(removed.reason) ? removed.reason : 'state_unwritable';
    return fail(reason, `enrolled, but an old key is still there: ${removed.detail}`);
  }
  if (replaced !== undefined) {
    // A host that was just raising the version of the old enrollment's key set may have put it back.
    const now = readEnrollment(stateDirectory);
    const isBack = now.ok && now.value !== undefined && isSameEnrollment(now.value, replaced);
    const again = isBack ? writeEnrollment(stateDirectory, enrolled) : written;
    if (!again.ok) return fail('state_unwritable', again.detail);
    input.onStep?.('old_key', 'deleted');
  }
  dropSigningRequest(stateDirectory);
  return succeed(undefined);
}

/** Also those in files, where the device had its key before the configuration named another keystore. */
async function removeOtherKeys(stateDirectory: string, keyStores: KeyStores, keyId?: string) {
  const removed = await keyStores.removeOthers(keyId);
  const isInFile = keyStores.open(keyId).protection === 'file';
  return !removed.ok || isInFile ? removed : new FileKeyStores(stateDirectory).removeAll();
}
