import { type DecisionReason, unpackEvidence } from '@countersign/protocol';
import type { ChallengeClaims } from '@countersign/protocol/challenge';
import type { ResponseDecryptionKey } from '../token/decrypt-response.ts';
import { type ExpectedChallenge, openChallenge } from './open-challenge.ts';
import type { PresentedCertificates } from './presented-certificate.ts';
import { type VerifiedDeviceResponse, verifyResponse } from './verify-response.ts';

/** What the evidence of one sign-in amounts to. `challenge` is present when one opened for this client and transaction. */
export type VerifiedEvidence = {
  readonly challenge: ChallengeClaims | undefined;
  readonly evidence:
    | { readonly ok: true; readonly response: VerifiedDeviceResponse }
    | { readonly ok: false; readonly reason: DecisionReason };
};

/**
 * Evidence → opened challenge → verified response. Pure but for the cryptography: no storage, no clock. Each failure
 * ends the pipeline with its own reason; a code that the client reported for a missing response is passed on as the
 * reason, since it can only explain a refusal.
 */
export async function verifyEvidence(
  unverifiedEvidence: string | undefined,
  expected: ExpectedChallenge,
  keys: readonly ResponseDecryptionKey[],
  certificates: PresentedCertificates,
): Promise<VerifiedEvidence> {
  const failed = (reason: DecisionReason, challenge?: ChallengeClaims): VerifiedEvidence => ({
    challenge,
    evidence: { ok: false, reason },
  });
  if (unverifiedEvidence === undefined || unverifiedEvidence === '')
    return failed('evidence_missing');
  const parts = unpackEvidence(unverifiedEvidence);
  if (parts === undefined) return failed('evidence_malformed');

  const opened = await openChallenge(parts.unverifiedChallenge, expected);
  if (!opened.ok) return failed(opened.reason);
  if (parts.unverifiedMtlsEvidence !== undefined)
    return failed('evidence_malformed', opened.claims);
  if (parts.unverifiedResponse === undefined) {
    return failed(parts.reportedUnavailable ?? 'evidence_missing', opened.claims);
  }
  const verified = await verifyResponse(
    parts.unverifiedResponse,
    opened.claims,
    keys,
    certificates,
  );
  return verified.ok
    ? { challenge: opened.claims, evidence: { ok: true, response: verified.response } }
    : failed(verified.reason, opened.claims);
}
