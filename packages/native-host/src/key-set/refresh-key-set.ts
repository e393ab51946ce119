import { type KeySetClaims, keySetAnswer } from '@countersign/protocol/key-set';
import { parseFields } from '@countersign/protocol/schemas';
import { type Enrollment, raiseKeySetVersion } from '../enrollment/enrollment-record.ts';
import { callBroker } from '../http/call-broker.ts';
import { fail, type Result } from '../result.ts';
import { readStoredKeySet, writeStoredKeySet } from './stored-key-set.ts';
import { verifyKeySet } from './verify-key-set.ts';

export const refreshIntervalSeconds = 86_400;

/** True when the key set was fetched a day ago, or in what this device's clock calls the future. */
export function isRefreshDue(fetchedAtSeconds: number, nowSeconds: number): boolean {
  const ageSeconds = nowSeconds - fetchedAtSeconds;
  return !(ageSeconds >= 0 && ageSeconds < refreshIntervalSeconds);
}

export type RefreshKeySetInput = {
  readonly enrollment: Enrollment;
  readonly stateDirectory: string;
  readonly nowSeconds: number;
  readonly timeoutMs: number;
};

/**
 * Asks the broker for its key set, verifies it under the pinned root and keeps it. A version older than one that this
 * device accepted before is refused, whether or not it still has that. A device that cannot write still gets the keys,
 * so that a full disk stops no sign-in.
 */
export async function refreshKeySet(
  input: RefreshKeySetInput,
): Promise<Result<KeySetClaims, 'key_set_invalid' | 'broker_unreachable'>> {
  const { enrollment, stateDirectory, nowSeconds } = input;
  const called = await callBroker({
    brokerUrl: enrollment.brokerUrl,
    method: 'GET',
    path: '/v1/key-set',
    timeoutMs: input.timeoutMs,
  });
  if (!called.ok) {
    return called.reason === 'broker_answer_malformed'
      ? fail('key_set_invalid', called.detail)
      : fail('broker_unreachable', called.detail);
  }
  const answer = parseFields(keySetAnswer, called.value);
  if (!answer.ok) {
    return fail('key_set_invalid', `the broker's answer: ${answer.field} ${answer.detail}`);
  }
  // Read only now: another process may have stored a newer one while this one waited.
  const stored = readStoredKeySet(stateDirectory, enrollment);
  const verified = verifyKeySet(answer.value.key_set, {
    rootCertificate: enrollment.rootCertificate,
    organizationId: enrollment.organizationId,
    brokerUrl: enrollment.brokerUrl,
    lowestVersion: stored?.claims.version ?? enrollment.keySetVersion,
    signerValidAtSeconds: nowSeconds,
  });
  if (verified.ok) {
    // In this order: cut off in between, the device asks once more, and there is no way back to what it had.
    raiseKeySetVersion(stateDirectory, enrollment, verified.value.version);
    writeStoredKeySet(stateDirectory, answer.value.key_set, nowSeconds);
  }
  return verified;
}
