import { maxClockSkewSeconds } from '@countersign/protocol/limits';
import { parseCertificate } from '@countersign/x509';
import { isTokenReason, type KeyStores, type TokenReason } from '../keystore/keystore.ts';
import { fail, type Result, succeed } from '../result.ts';
import { type EnrollmentOutcome, outcomeOf } from './enrollment-outcome.ts';
import {
  type Enrollment,
  type EnrollmentReason,
  readEnrollment,
  removeEnrollment,
} from './enrollment-record.ts';
import { describeKeyFailure } from './make-signing-request.ts';

export type ExistingReason =
  | 'already_enrolled_elsewhere'
  | 'key_unavailable'
  | 'state_unwritable'
  | TokenReason;

type Settled = {
  /** The enrollment that there is, when it works and shall stay: nothing is left to do. */
  readonly outcome?: EnrollmentOutcome;
  /** The enrollment that works on until another one is there. */
  readonly replaced?: Enrollment;
};

export type ExistingInput = {
  readonly brokerUrl: string;
  readonly stateDirectory: string;
  readonly nowSeconds: number;
};

/**
 * Looks at the enrollment there is. One with this broker that still works is the outcome; one with another broker is a
 * refusal. One that is of no use any more, damaged, expired or without its key, makes room for a new one: its key goes
 * too, since the broker answers one key with one certificate.
 */
export async function settleExisting(
  input: ExistingInput,
  keyStores: KeyStores,
): Promise<Result<Settled, ExistingReason>> {
  const existing = readOwnEnrollment(input);
  if (!existing.ok && existing.reason !== 'enrollment_damaged') return refusalOf(existing);
  if (existing.ok) {
    if (existing.value === undefined) return succeed({});
    const keyStore = keyStores.open(existing.value.keyId);
    const key = await keyStore.publicKeySpki();
    if (!key.ok && key.reason !== 'key_missing' && key.reason !== 'key_damaged') {
      return fail(isTokenReason(key.reason) ? key.reason : 'key_unavailable', key.detail);
    }
    const outcome = outcomeOf(existing.value, keyStore.protection, true);
    if (key.ok && outcome.ok && stillWorks(existing.value, key.value, input.nowSeconds)) {
      const kept = await keyStore.keepCertificate(existing.value.leafCertificate);
      return kept.ok ? succeed({ outcome: outcome.value }) : describeKeyFailure(kept);
    }
  }
  const deleted = await keyStores.removeAll();
  if (!deleted.ok) {
    return fail(
      isTokenReason(deleted.reason) ? deleted.reason : 'state_unwritable',
      deleted.detail,
    );
  }
  const removed = removeEnrollment(input.stateDirectory);
  return removed.ok ? succeed({}) : fail('state_unwritable', removed.detail);
}

/** As `settleExisting`, for somebody who knows that the enrollment is of no use: it is left as it is for now. */
export function findReplaced(input: ExistingInput): Result<Settled, ExistingReason> {
  const existing = readOwnEnrollment(input);
  if (!existing.ok && existing.reason !== 'enrollment_damaged') return refusalOf(existing);
  return succeed(existing.ok && existing.value !== undefined ? { replaced: existing.value } : {});
}

function readOwnEnrollment({
  brokerUrl,
  stateDirectory,
}: ExistingInput): Result<Enrollment | undefined, EnrollmentReason | 'already_enrolled_elsewhere'> {
  const existing = readEnrollment(stateDirectory);
  if (!existing.ok || existing.value === undefined) return existing;
  const { brokerUrl: enrolledWith, requestedUrl } = existing.value;
  return brokerUrl === enrolledWith || brokerUrl === requestedUrl
    ? existing
    : fail(
        'already_enrolled_elsewhere',
        `this device is enrolled with ${enrolledWith}, in ${stateDirectory}`,
      );
}

function refusalOf({
  reason,
  detail,
}: Extract<ReturnType<typeof readOwnEnrollment>, { ok: false }>) {
  return fail(
    reason === 'already_enrolled_elsewhere' ? reason : ('state_unwritable' as const),
    detail,
  );
}

function stillWorks(enrollment: Enrollment, spki: Uint8Array, nowSeconds: number): boolean {
  const certificate = parseCertificate(enrollment.leafCertificate);
  return (
    certificate.ok &&
    Buffer.from(spki).equals(certificate.value.subjectPublicKey.spki) &&
    nowSeconds <= certificate.value.notAfterMs / 1000 + maxClockSkewSeconds
  );
}
