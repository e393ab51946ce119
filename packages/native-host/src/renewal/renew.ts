import { createHash } from 'node:crypto';
import { type ProblemCode, problemCodes } from '@countersign/protocol';
import { type RenewalRequest, renewalAnswer } from '@countersign/protocol/enrollment';
import { parseFields } from '@countersign/protocol/schemas';
import { type EnrollmentOutcome, outcomeOf } from '../enrollment/enrollment-outcome.ts';
import { type Enrollment, readEnrollment } from '../enrollment/enrollment-record.ts';
import { keepEnrollment } from '../enrollment/keep-enrollment.ts';
import {
  describeKeyFailure,
  keepReplacementRequest,
  type SigningRequestReason,
} from '../enrollment/make-signing-request.ts';
import {
  type AnswerReason,
  verifyEnrollmentAnswer,
} from '../enrollment/verify-enrollment-answer.ts';
import { callBroker } from '../http/call-broker.ts';
import { describeRefusal } from '../http/describe-refusal.ts';
import type { KeyStores } from '../keystore/keystore.ts';
import { fail, type Result, succeed } from '../result.ts';
import { forgetFailures, noteFailure, readAttempts } from './renewal-attempts.ts';
import { signRenewalRequest } from './sign-renewal-request.ts';

export type RenewReason =
  | ProblemCode
  | AnswerReason
  | SigningRequestReason
  | 'not_enrolled'
  | 'broker_unreachable';

export type RenewInput = {
  readonly stateDirectory: string;
  readonly keyStores: KeyStores;
  readonly nowSeconds: number;
  /** A new key takes the place of the current one. */
  readonly rekey?: boolean;
  readonly timeoutMs?: number;
};

export type RenewOutcome = EnrollmentOutcome & {
  /** False when the broker has no newer certificate to give yet. */
  readonly renewed: boolean;
};

const defaultTimeoutMs = 15_000;

/**
 * Asks for the renewal of this device's certificate and keeps the answer. Can be repeated at any point: the broker
 * answers one key with the newest certificate that it has for it, so an answer that got lost comes again; and until a
 * new certificate is verified and stored, everything stays as it was.
 */
export async function renew(input: RenewInput): Promise<Result<RenewOutcome, RenewReason>> {
  const renewed = await tryToRenew(input);
  if (renewed.ok) forgetFailures(input.stateDirectory);
  else if (renewed.reason !== 'not_enrolled') {
    // Once a request was sent, only a refusal says that the broker has not gone over to the new key.
    const rekeyIsOpen =
      input.rekey === true
        ? isAnswerLost(renewed.reason)
        : readAttempts(input.stateDirectory)?.rekeyIsOpen === true;
    noteFailure(input.stateDirectory, renewed.reason, input.nowSeconds, rekeyIsOpen);
  }
  return renewed;
}

const isAnswerLost = (reason: RenewReason) =>
  !problemCodes.some((code) => code === reason) || reason === 'internal_error';

type Candidate = { readonly spki: Uint8Array; readonly keyId?: string; readonly csr?: Uint8Array };

async function tryToRenew(input: RenewInput): Promise<Result<RenewOutcome, RenewReason>> {
  const { stateDirectory, keyStores, nowSeconds } = input;
  const existing = readEnrollment(stateDirectory);
  if (!existing.ok) return fail('key_unavailable', existing.detail);
  if (existing.value === undefined) {
    return fail('not_enrolled', `${stateDirectory} holds no enrollment`);
  }
  const enrollment = existing.value;
  const candidate = await chooseKey(input, enrollment);
  if (!candidate.ok) return candidate;
  const request = await signRenewalRequest({
    brokerUrl: enrollment.brokerUrl,
    leafCertificate: enrollment.leafCertificate,
    keyStore: keyStores.open(enrollment.keyId),
    nowSeconds,
    ...(candidate.value.csr === undefined ? {} : { rekeyCsr: candidate.value.csr }),
  });
  if (!request.ok) return describeKeyFailure(request);

  const body: RenewalRequest = { renewal_request: request.value };
  const answer = await callBroker({
    brokerUrl: enrollment.requestedUrl,
    method: 'POST',
    path: '/v1/renewals',
    body,
    timeoutMs: input.timeoutMs ?? defaultTimeoutMs,
  });
  if (!answer.ok) return answer.reason === 'broker_refused' ? describeRefusal(answer) : answer;
  const parsed = parseFields(renewalAnswer, answer.value);
  if (!parsed.ok) {
    return fail('broker_answer_malformed', `the broker's answer: ${parsed.field} ${parsed.detail}`);
  }
  const verified = await verifyEnrollmentAnswer(answer.value, {
    spki: candidate.value.spki,
    requestedUrl: enrollment.requestedUrl,
    nowSeconds,
    // Renewals stay under the root that the device was enrolled under.
    rootSha256: createHash('sha256').update(enrollment.rootCertificate).digest('base64url'),
  });
  if (!verified.ok) return verified;
  const { deviceId, organizationId } = verified.value.enrollment;
  if (deviceId !== enrollment.deviceId || organizationId !== enrollment.organizationId) {
    return fail('broker_answer_malformed', "the broker's answer: is about another device");
  }
  const { protection } = keyStores.open(candidate.value.keyId);
  const outcome = outcomeOf(verified.value.enrollment, protection, true);
  if (!outcome.ok) return outcome;
  const replaced = input.rekey === true ? enrollment : undefined;
  const kept = await keepEnrollment(input, keyStores, candidate.value, verified.value, replaced);
  return kept.ok ? succeed({ ...outcome.value, renewed: parsed.value.renewed }) : kept;
}

/** The key that the new certificate is for: the current one, or one that is made to follow it. */
async function chooseKey(
  { rekey, stateDirectory, keyStores }: RenewInput,
  { keyId }: Enrollment,
): Promise<Result<Candidate, SigningRequestReason>> {
  if (rekey === true) return keepReplacementRequest(stateDirectory, keyStores);
  const spki = await keyStores.open(keyId).publicKeySpki();
  if (!spki.ok) return describeKeyFailure(spki);
  return succeed({ spki: spki.value, ...(keyId === undefined ? {} : { keyId }) });
}
