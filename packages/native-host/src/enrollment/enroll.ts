import { encodeBase64url, type ProblemCode } from '@countersign/protocol';
import type {
  EnrollmentAuthority,
  EnrollmentRequest,
  HardwareId,
} from '@countersign/protocol/enrollment';
import { callBroker } from '../http/call-broker.ts';
import { describeRefusal } from '../http/describe-refusal.ts';
import { FileKeyStores } from '../keystore/file-keystores.ts';
import type { KeyStores, TokenReason } from '../keystore/keystore.ts';
import { fail, type Result, succeed } from '../result.ts';
import { ensurePrivateFolder } from '../state/private-file.ts';
import { type EnrollmentOutcome, outcomeOf } from './enrollment-outcome.ts';
import { keepEnrollment } from './keep-enrollment.ts';
import {
  dropSigningRequest,
  keepReplacementRequest,
  keepSigningRequest,
  type SigningRequest,
  type SigningRequestReason,
} from './make-signing-request.ts';
import { parseOrganizationSecret, proveEnrollment } from './organization-secret.ts';
import { type ExistingReason, findReplaced, settleExisting } from './settle-existing.ts';
import { type AnswerReason, verifyEnrollmentAnswer } from './verify-enrollment-answer.ts';

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
  /** A one-time token or the organization secret, empty for neither. Asked for only when there is something to do. */
  readonly readEnrollmentToken: () => Promise<Result<string, 'usage_invalid'>>;
  /** Has the device's TPM permit the request: with nothing else, or with a proof by the organization secret. */
  readonly attest?: (
    request: SigningRequest,
    proof: string | undefined,
  ) => Promise<Result<EnrollmentAuthority, EnrollReason>>;
  /** Who the device is for, as the broker's directory knows them; the organization secret signs it. A token says it itself. */
  readonly user?: string;
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

export type EnrollmentStep =
  | 'key'
  | 'attestation'
  | 'request'
  | 'certificate'
  | 'key_set'
  | 'old_key';

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
  if (input.user !== undefined && parseOrganizationSecret(token.value) === undefined) {
    return fail(
      'usage_invalid',
      '--user goes with the organization secret; a token names its user',
    );
  }
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
  const kept = await keepEnrollment(input, keyStores, request, verified.value, replaced);
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

  const authority = await authorityOf(token, request.value, input);
  if (!authority.ok) return authority;
  const body: EnrollmentRequest = {
    authority: authority.value,
    hardware_id: input.hardwareId,
    csr: encodeBase64url(csr),
    ...(input.user === undefined ? {} : { user: input.user }),
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
  const refused = answer.reason === 'broker_refused' ? describeRefusal(answer) : answer;
  const isKeyRefused = refused.reason === 'key_of_other_device' || refused.reason === 'key_blocked';
  if (!isReplacement || !wasKept || !isKeyRefused || !mayStartOver) return refused;
  // What an earlier attempt left was copied to another device, or its certificate was revoked meanwhile.
  dropSigningRequest(stateDirectory);
  return askForCertificate(input, keyStores, token, false);
}

/** What permits the request: the token itself, a signature by the organization secret, or the TPM with or without one. */
async function authorityOf(
  token: string,
  request: SigningRequest,
  input: EnrollInput,
): Promise<Result<EnrollmentAuthority, EnrollReason>> {
  const secret = parseOrganizationSecret(token);
  const { csr } = request;
  const proof = secret === undefined ? undefined : proveEnrollment(secret, { ...input, csr });
  if (input.attest !== undefined && (token === '' || proof !== undefined)) {
    const attested = await input.attest(request, proof);
    if (attested.ok) input.onStep?.('attestation', 'the TPM has certified the key');
    return attested;
  }
  return succeed(
    proof === undefined
      ? { type: 'one_time_token', token }
      : { type: 'organization_secret', proof },
  );
}
