import { encodeBase64url, type ProblemCode, problemCodes } from '@countersign/protocol';
import type { EnrollmentRequest, HardwareId } from '@countersign/protocol/enrollment';
import { maxClockSkewSeconds } from '@countersign/protocol/limits';
import { parseCertificate } from '@countersign/x509';
import { type BrokerRefusal, callBroker } from '../http/call-broker.ts';
import { writeStoredKeySet } from '../key-set/stored-key-set.ts';
import { FileKeyStore } from '../keystore/file-keystore.ts';
import type { KeyProtection, KeyStore } from '../keystore/keystore.ts';
import { type Failure, fail, type Result, succeed } from '../result.ts';
import { ensurePrivateFolder } from '../state/private-file.ts';
import {
  type CertificateSummary,
  type Enrollment,
  readEnrollment,
  removeEnrollment,
  summarizeCertificate,
  writeEnrollment,
} from './enrollment-record.ts';
import {
  dropSigningRequest,
  keepSigningRequest,
  type SigningRequestReason,
} from './make-signing-request.ts';
import { type AnswerReason, verifyEnrollmentAnswer } from './verify-enrollment-answer.ts';

export type EnrollReason =
  | ProblemCode
  | AnswerReason
  | SigningRequestReason
  | 'already_enrolled_elsewhere'
  | 'broker_unreachable';

export type EnrollInput = {
  /** As `parseBrokerUrl` gives it. */
  readonly brokerUrl: string;
  readonly hardwareId: HardwareId;
  /** Absolute path; made when it is not there. */
  readonly stateDirectory: string;
  /** Asked for only when the device is not enrolled yet. */
  readonly readEnrollmentToken: () => Promise<Result<string, 'usage_invalid'>>;
  readonly nowSeconds: number;
  /** base64url SHA-256 of the organization's root (DER), when it is pinned. */
  readonly rootSha256?: string;
  /** By default the key is kept in a file in the state folder. */
  readonly keyStore?: KeyStore;
  readonly timeoutMs?: number;
  /** Told each step that succeeded, in words, as it happens. */
  readonly onStep?: (step: EnrollmentStep, detail: string) => void;
};

export type EnrollmentStep = 'key' | 'request' | 'certificate' | 'key_set';

export type EnrollmentOutcome = {
  /** True when the device was enrolled before, and nothing was done. */
  readonly wasEnrolled: boolean;
  readonly brokerUrl: string;
  readonly organizationId: string;
  readonly deviceId: string;
  readonly certificate: CertificateSummary;
  readonly keyProtection: KeyProtection;
};

const defaultTimeoutMs = 15_000;

/**
 * Enrolls this device: makes the key, sends the request with the enrollment token, verifies the answer, keeps it. Can
 * be repeated at any point: a device that is enrolled with this broker is left as it is; an attempt that was cut off
 * goes on with the same key and the same request, which the broker answers with the same certificate.
 */
export async function enroll(
  input: EnrollInput,
): Promise<Result<EnrollmentOutcome, EnrollReason | 'usage_invalid'>> {
  const { stateDirectory, brokerUrl, nowSeconds } = input;
  const keyStore = input.keyStore ?? new FileKeyStore(stateDirectory);
  const folder = ensurePrivateFolder(stateDirectory);
  if (!folder.ok) return fail('state_unwritable', folder.detail);
  const existing = await settleExisting(input, keyStore);
  if (!existing.ok) return existing;
  if (existing.value !== undefined) return succeed(existing.value);

  const token = await input.readEnrollmentToken();
  if (!token.ok) return token;
  const request = await keepSigningRequest(stateDirectory, keyStore);
  if (!request.ok) return request;
  input.onStep?.('key', `P-256, kept as: ${keyStore.protection}`);

  const body: EnrollmentRequest = {
    enrollment_token: token.value,
    hardware_id: input.hardwareId,
    csr: encodeBase64url(request.value.csr),
  };
  const answer = await callBroker({
    brokerUrl,
    method: 'POST',
    path: '/v1/enrollments',
    body,
    timeoutMs: input.timeoutMs ?? defaultTimeoutMs,
  });
  if (!answer.ok) return answer.reason === 'broker_refused' ? refusalOf(answer) : answer;
  const again = request.value.wasKept ? ', again with the request of an earlier attempt' : '';
  input.onStep?.('request', `accepted by ${brokerUrl}${again}`);

  const verified = await verifyEnrollmentAnswer(answer.value, {
    spki: request.value.spki,
    requestedUrl: brokerUrl,
    nowSeconds,
    ...(input.rootSha256 === undefined ? {} : { rootSha256: input.rootSha256 }),
  });
  if (!verified.ok) return verified;
  const { enrollment, keySet } = verified.value;
  const outcome = outcomeOf(enrollment, keyStore, false);
  input.onStep?.('certificate', 'issued for this key, under the root of the organization');

  const kept = writeStoredKeySet(stateDirectory, keySet, nowSeconds);
  if (!kept.ok) return fail('state_unwritable', kept.detail);
  input.onStep?.('key_set', `version ${enrollment.keySetVersion}, signed under the same root`);
  const written = writeEnrollment(stateDirectory, enrollment);
  if (!written.ok) return fail('state_unwritable', written.detail);
  dropSigningRequest(stateDirectory);
  return outcome;
}

/**
 * Looks at the enrollment there is. One with this broker that still works is the outcome; one with another broker is a
 * refusal. One that is of no use any more, damaged, expired or without its key, makes room for a new one: its key goes
 * too, since the broker answers one key with one certificate.
 */
async function settleExisting(
  input: EnrollInput,
  keyStore: KeyStore,
): Promise<Result<EnrollmentOutcome | undefined, EnrollReason>> {
  const existing = readEnrollment(input.stateDirectory);
  if (!existing.ok && existing.reason === 'enrollment_unreadable') {
    return fail('state_unwritable', existing.detail);
  }
  if (existing.ok) {
    if (existing.value === undefined) return succeed(undefined);
    const { brokerUrl, requestedUrl } = existing.value;
    if (input.brokerUrl !== brokerUrl && input.brokerUrl !== requestedUrl) {
      return fail(
        'already_enrolled_elsewhere',
        `this device is enrolled with ${brokerUrl}, in ${input.stateDirectory}`,
      );
    }
    const key = await keyStore.publicKeySpki();
    if (!key.ok && key.reason !== 'key_missing' && key.reason !== 'key_damaged') {
      return fail('key_unavailable', key.detail);
    }
    const outcome = outcomeOf(existing.value, keyStore, true);
    if (key.ok && outcome.ok && stillWorks(existing.value, key.value, input.nowSeconds)) {
      return outcome;
    }
  }
  const deleted = await keyStore.delete();
  if (!deleted.ok) return fail('state_unwritable', deleted.detail);
  const removed = removeEnrollment(input.stateDirectory);
  return removed.ok ? succeed(undefined) : fail('state_unwritable', removed.detail);
}

function stillWorks(enrollment: Enrollment, spki: Uint8Array, nowSeconds: number): boolean {
  const certificate = parseCertificate(enrollment.leafCertificate);
  return (
    certificate.ok &&
    Buffer.from(spki).equals(certificate.value.subjectPublicKey.spki) &&
    nowSeconds <= certificate.value.notAfterMs / 1000 + maxClockSkewSeconds
  );
}

function outcomeOf(
  enrollment: Enrollment,
  keyStore: KeyStore,
  wasEnrolled: boolean,
): Result<EnrollmentOutcome, 'key_unavailable'> {
  const certificate = summarizeCertificate(enrollment.leafCertificate);
  if (certificate === undefined) {
    return fail('key_unavailable', 'the certificate of the enrollment is damaged');
  }
  return succeed({
    wasEnrolled,
    brokerUrl: enrollment.brokerUrl,
    organizationId: enrollment.organizationId,
    deviceId: enrollment.deviceId,
    certificate,
    keyProtection: keyStore.protection,
  });
}

function refusalOf(refusal: BrokerRefusal): Failure<EnrollReason> {
  const { code, field } = refusal.problem;
  const known = problemCodes.find((problemCode) => problemCode === code);
  const detail = field === undefined ? refusal.detail : `${refusal.detail} (${field})`;
  // A newer broker may know codes that this version does not.
  return known === undefined
    ? fail('broker_answer_malformed', `the broker refused with "${code}": ${detail}`)
    : fail(known, detail);
}
