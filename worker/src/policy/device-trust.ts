import type { DecisionReason } from '@countersign/protocol';

/** Whether a sign-in comes from a trusted device: computed from facts each time, never stored as a fact. */
export type DeviceTrust =
  | { readonly trusted: true }
  | { readonly trusted: false; readonly reason: DecisionReason };

/** What is on record about the certificate that signed, read in the same block that writes the decision. */
export type CertificateFacts = {
  readonly status: 'intent' | 'issued' | 'bound' | 'superseded' | 'revoked';
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly issuerActive: boolean;
  readonly boundUser: string | undefined;
};

export type TrustFacts = {
  /** Why the evidence proves nothing, when it proves nothing. */
  readonly evidenceFailure: DecisionReason | undefined;
  readonly challengeExpiresAtMs: number | undefined;
  /** `undefined` when no certificate with these bytes is on record. */
  readonly certificate: CertificateFacts | undefined;
  readonly subject: string;
  readonly subjectAuthenticated: boolean;
  /** Why a first binding was refused, when it was. */
  readonly bindingRefused: 'subject_inactive' | undefined;
};

const untrusted = (reason: DecisionReason): DeviceTrust => ({ trusted: false, reason });

/**
 * Is the certificate itself in good standing? In this order: known, not revoked, not superseded, in its validity
 * period, issued by an authority that is still active.
 */
export function certificateStanding(
  certificate: CertificateFacts | undefined,
  nowMs: number,
): DeviceTrust {
  if (certificate === undefined || certificate.status === 'intent') {
    return untrusted('certificate_unknown');
  }
  if (certificate.status === 'revoked') return untrusted('certificate_revoked');
  if (certificate.status === 'superseded') return untrusted('certificate_superseded');
  if (nowMs < certificate.notBeforeMs) return untrusted('certificate_not_yet_valid');
  if (nowMs > certificate.notAfterMs) return untrusted('certificate_expired');
  if (!certificate.issuerActive) return untrusted('issuer_not_active');
  return { trusted: true };
}

/** The one place that says what "trusted" means. The first reason that applies is the one given. */
export function deviceTrust(facts: TrustFacts, nowMs: number): DeviceTrust {
  if (facts.evidenceFailure !== undefined) return untrusted(facts.evidenceFailure);
  if (facts.challengeExpiresAtMs === undefined) return untrusted('challenge_malformed');
  if (nowMs > facts.challengeExpiresAtMs) return untrusted('challenge_expired');
  const standing = certificateStanding(facts.certificate, nowMs);
  if (!standing.trusted) return standing;
  const boundUser = facts.certificate?.boundUser;
  if (boundUser !== undefined) {
    return boundUser === facts.subject
      ? { trusted: true }
      : untrusted('certificate_bound_to_other_user');
  }
  if (!facts.subjectAuthenticated) return untrusted('subject_not_authenticated');
  if (facts.bindingRefused !== undefined) return untrusted(facts.bindingRefused);
  return { trusted: true };
}
