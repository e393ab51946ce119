import { type DecisionReason, type UnavailableCode, unpackEvidence } from '@countersign/protocol';
import type { ChallengeClaims } from '@countersign/protocol/challenge';
import { type MtlsEvidence, verifyMtlsEvidence } from '../mtls/verify-mtls-evidence.ts';
import type { ResponseDecryptionKey } from '../token/decrypt-response.ts';
import type { SigningKeys } from '../token/token-key.ts';
import { type ExpectedChallenge, openChallenge } from './open-challenge.ts';
import type { PresentedCertificates } from './presented-certificate.ts';
import { type VerifiedDeviceResponse, verifyResponse } from './verify-response.ts';

/** What verified of the evidence: a response, mTLS evidence, or both. */
export type DeviceEvidence = {
  readonly response: VerifiedDeviceResponse | undefined;
  readonly mtls: MtlsEvidence | undefined;
  /** Why the client says that it has no response, beside mTLS evidence. */
  readonly reportedUnavailable: UnavailableCode | undefined;
};

/** What the evidence of one sign-in amounts to. `challenge` is present when one opened for this client and transaction. */
export type VerifiedEvidence = {
  readonly challenge: ChallengeClaims | undefined;
  readonly evidence:
    | ({ readonly ok: true } & DeviceEvidence)
    | { readonly ok: false; readonly reason: DecisionReason };
};

/** The keys that evidence is opened with, and the isolate's memory of certificates. */
export type EvidenceKeys = {
  readonly responseKeys: readonly ResponseDecryptionKey[];
  readonly mtlsEvidenceKeys: SigningKeys['accepted'];
  readonly certificates: PresentedCertificates;
};

/**
 * Evidence → opened challenge → verified response, verified mTLS evidence. Pure but for the cryptography: no storage, no
 * clock. Whatever is there must verify, and both must come from one origin: each failure ends the pipeline with its own
 * reason. A code that the client reported for a missing response is passed on as the reason where nothing else is there,
 * since it can only explain a refusal.
 */
export async function verifyEvidence(
  unverifiedEvidence: string | undefined,
  expected: ExpectedChallenge,
  keys: EvidenceKeys,
): Promise<VerifiedEvidence> {
  const failed = (reason: DecisionReason, challenge?: ChallengeClaims): VerifiedEvidence => ({
    challenge,
    evidence: { ok: false, reason },
  });
  if (unverifiedEvidence === undefined || unverifiedEvidence === '')
    return failed('evidence_missing');
  const parts = unpackEvidence(unverifiedEvidence);
  if (parts === undefined) return failed('evidence_malformed');
  const { unverifiedResponse, unverifiedMtlsEvidence, reportedUnavailable } = parts;

  const opened = await openChallenge(parts.unverifiedChallenge, expected);
  if (!opened.ok) return failed(opened.reason);
  const challenge = opened.claims;
  if (unverifiedResponse === undefined && unverifiedMtlsEvidence === undefined) {
    return failed(reportedUnavailable ?? 'evidence_missing', challenge);
  }

  const verified =
    unverifiedResponse === undefined
      ? undefined
      : await verifyResponse(unverifiedResponse, challenge, keys.responseKeys, keys.certificates);
  if (verified?.ok === false) return failed(verified.reason, challenge);
  const mtls =
    unverifiedMtlsEvidence === undefined
      ? undefined
      : await verifyMtlsEvidence(unverifiedMtlsEvidence, challenge, keys);
  if (mtls?.ok === false) return failed(mtls.reason, challenge);

  const response = verified?.response;
  const evidence = mtls?.evidence;
  if (
    response !== undefined &&
    evidence !== undefined &&
    response.claims.origin !== evidence.origin
  ) {
    return failed('mtls_evidence_wrong_origin', challenge);
  }
  return {
    challenge,
    evidence: { ok: true, response, mtls: evidence, reportedUnavailable },
  };
}
