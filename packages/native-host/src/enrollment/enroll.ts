import { encodeBase64url, type ProblemCode, problemCodes } from '@countersign/protocol';
import type { EnrollmentRequest, HardwareId } from '@countersign/protocol/enrollment';
import { type BrokerRefusal, callBroker } from '../http/call-broker.ts';
import { writeStoredKeySet } from '../key-set/stored-key-set.ts';
import { FileKeyStores } from '../keystore/file-keystores.ts';
import { isTokenReason, type KeyStores, type TokenReason } from '../keystore/keystore.ts';
import { type Failure, fail, type Result, succeed } from '../result.ts';
import { ensurePrivateFolder } from '../state/private-file.ts';
import { type EnrollmentOutcome, outcomeOf } from './enrollment-outcome.ts';
import {
  type Enrollment,
  isSameEnrollment,
  readEnrollment,
  writeEnrollment,
} from './enrollment-record.ts';
import {
  describeKeyFailure,
  dropSigningRequest,
  keepReplacementRequest,
  keepSigningRequest,
  type SigningRequest,
  type SigningRequestReason,
} from './make-signing-request.ts';
import { type ExistingReason, findReplaced, settleExisting } from './settle-existing.ts';
import {
  type AnswerReason,
  type VerifiedAnswer,
  verifyEnrollmentAnswer,
} from './verify-enrollment-answer.ts';

export type EnrollReason =
  | ProblemCode
  | AnswerReason
  | ExistingReason
  | SigningRequestReason
  | TokenReason
  | 'broker_unreachable';

export type EnrollInput = {
  /** As `parseBrokerUrl` gives it. */
  readonly brokerUrl: string;
  readonly hardwareId: HardwareId;
  /** Absolute path; made when it is not there. */
  readonly stateDirectory: string;
  /** Asked for only when there is something to do. */
  readonly readEnrollmentToken: () => Promise<Result<string, 'usage_invalid'>>;
  readonly nowSeconds: number;
  /** Enrolls anew with a new key, even where the enrollment looks good from here. */
  readonly replace?: boolean;
  /** base64url SHA-256 of the organization's root (DER), when it is pinned. */
  readonly rootSha256?: string;
  /** By default keys are kept in files in the state folder. */
  readonly keyStores?: KeyStores;
  readonly timeoutMs?: number;
  /** Told each step that succeeded, in words, as it happens. */
  readonly onStep?: (step: EnrollmentStep, detail: string) => void;
};

export type EnrollmentStep = 'key' | 'request' | 'certificate' | 'key_set' | 'old_key';

const defaultTimeoutMs = 15_000;

/**
 * Enrolls this device: makes the key, sends the request with the enrollment token, verifies the answer, keeps it. Can
 * be repeated at any point: a device that is enrolled with this broker is left as it is; an attempt that was cut off
 * goes on with the same key and the same request, which the broker answers with the same certificate.
 *
 * With `replace` the key is a new one, and key and enrollment that are there stay in use until the new certificate is
 * verified and stored; then the old key is deleted. Whatever fails before leaves them as they were.
 */
export async function enroll(
  input: EnrollInput,
): Promise<Result<EnrollmentOutcome, EnrollReason | 'usage_invalid'>> {
  const { stateDirectory } = input;
  const keyStores = input.keyStores ?? new FileKeyStores(stateDirectory);
  const folder = ensurePrivateFolder(stateDirectory);
  if (!folder.ok) return fail('state_unwritable', folder.detail);
  const existing =
    input.replace === true ? findReplaced(input) : await settleExisting(input, keyStores);
  if (!existing.ok) return existing;
  const { outcome, replaced } = existing.value;
  if (outcome !== undefined) return succeed(outcome);

  const token = await input.readEnrollmentToken();
  if (!token.ok) return token;
  const asked = await askForCertificate(input, keyStores, token.value);
  if (!asked.ok) return asked;
  const { request, unverifiedAnswer } = asked.value;
  const verified = await verifyEnrollmentAnswer(unverifiedAnswer, {
    spki: request.spki,
    requestedUrl: input.brokerUrl,
    nowSeconds: input.nowSeconds,
    ...(input.rootSha256 === undefined ? {} : { rootSha256: input.rootSha256 }),
  });
  if (!verified.ok) return verified;
  const { protection } = keyStores.open(request.keyId);
  const enrolled = outcomeOf(verified.value.enrollment, protection, false);
  if (!enrolled.ok) return enrolled;
  input.onStep?.('certificate', 'issued for this key, under the root of the organization');
  const kept = await keep(input, keyStores, request, verified.value, replaced);
  return kept.ok ? enrolled : kept;
}

type Asked = { readonly request: SigningRequest; readonly unverifiedAnswer: unknown };

async function askForCertificate(
  input: EnrollInput,
  keyStores: KeyStores,
  token: string,
  mayStartOver = true,
): Promise<Result<Asked, EnrollReason>> {
  const { stateDirectory, brokerUrl } = input;
  const isReplacement = input.replace === true;
  const request = isReplacement
    ? await keepReplacementRequest(stateDirectory, keyStores)
    : await keepSigningRequest(stateDirectory, keyStores.open());
  if (!request.ok) return request;
  const { csr, keyId, wasKept } = request.value;
  input.onStep?.('key', `P-256, kept as: ${keyStores.open(keyId).protection}`);

  const body: EnrollmentRequest = {
    authority: { type: 'one_time_token', token },
    hardware_id: input.hardwareId,
    csr: encodeBase64url(csr),
  };
  const answer = await callBroker({
    brokerUrl,
    method: 'POST',
    path: '/v1/enrollments',
    body,
    timeoutMs: input.timeoutMs ?? defaultTimeoutMs,
  });
  if (answer.ok) {
    const again = wasKept ? ', again with the request of an earlier attempt' : '';
    input.onStep?.('request', `accepted by ${brokerUrl}${again}`);
    return succeed({ request: request.value, unverifiedAnswer: answer.value });
  }
  const refused = answer.reason === 'broker_refused' ? refusalOf(answer) : answer;
  const isKeyRefused = refused.reason === 'key_of_other_device' || refused.reason === 'key_blocked';
  if (!isReplacement || !wasKept || !isKeyRefused || !mayStartOver) return refused;
  // What an earlier attempt left was copied to another device, or its certificate was revoked meanwhile.
  dropSigningRequest(stateDirectory);
  return askForCertificate(input, keyStores, token, false);
}

/** Goes over to the new enrollment in one write; the rest is tidying up, which can be repeated. */
async function keep(
  input: EnrollInput,
  keyStores: KeyStores,
  { spki, keyId }: SigningRequest,
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

function refusalOf(refusal: BrokerRefusal): Failure<EnrollReason> {
  const { code, field } = refusal.problem;
  const known = problemCodes.find((problemCode) => problemCode === code);
  const detail = field === undefined ? refusal.detail : `${refusal.detail} (${field})`;
  // A newer broker may know codes that this version does not.
  return known === undefined
    ? fail('broker_answer_malformed', `the broker refused with "${code}": ${detail}`)
    : fail(known, detail);
}
