import type { DeviceTrust } from '@countersign/policy';
import type { DecisionReason } from '@countersign/protocol';
import type { EnrollmentStrength } from '@countersign/protocol/enrollment-strength';
import { nameKey } from '@countersign/protocol/name-key';
import type { IntegrationStanding } from './integration-standing.ts';

/** What is on record about a certificate, read in the same block that writes the decision. */
export type CertificateFacts = {
  readonly status: 'intent' | 'issued' | 'bound' | 'superseded' | 'suspended' | 'revoked';
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly issuerActive: boolean;
  readonly boundUser: string | undefined;
  /** The user's epoch at the binding. */
  readonly boundEpoch: number | undefined;
  /** Until when it counts beside the one that replaced it; `undefined` where none has. */
  readonly usableUntilMs: number | undefined;
  readonly deviceBlocked: boolean;
  readonly strength: EnrollmentStrength;
  /** Of the integration that it was issued through; `undefined` where that was deleted. */
  readonly integration: IntegrationStanding | undefined;
};

export type TrustFacts = {
  /** Why the evidence proves nothing, when it proves nothing. */
  readonly evidenceFailure: DecisionReason | undefined;
  readonly challengeExpired: boolean;
  readonly mtlsEvidenceExpired: boolean;
  /**
   * The certificates that the evidence names: one, or two when both kinds were given. `undefined` stands for one that
   * is not on record in this shard.
   */
  readonly certificates: ReadonlyArray<CertificateFacts | undefined>;
  /** Two certificates were named, and they are not of one renewal lineage. */
  readonly lineageMismatch: boolean;
  /** Those that count for the application; `undefined` for all. */
  readonly enrollmentStrengths: readonly EnrollmentStrength[] | undefined;
  readonly subject: string;
  /** Deactivated, as far as the snapshot knows. */
  readonly subjectInactive: boolean;
  readonly subjectAuthenticated: boolean;
  /** Bindings of the subject from this epoch or an older one are void; 0 when none are. */
  readonly tombstoneEpoch: number;
  /** The organization's answer to the reservation of a first binding, once it was asked. */
  readonly reservation:
    | { readonly ok: true; readonly epoch: number }
    | { readonly ok: false; readonly reason: 'subject_inactive' | 'user_revoked' }
    | undefined;
};

const untrusted = (reason: DecisionReason): DeviceTrust => ({ trusted: false, reason });

/** Does what it was issued through count, and the way in which it was enrolled? */
function originStanding({ integration, strength }: CertificateFacts): DeviceTrust {
  if (integration === undefined) return untrusted('integration_deleted');
  if (integration.standing === 'device_trust_disabled') return untrusted('device_trust_disabled');
  if (integration.standing === 'disabled') return untrusted('integration_disabled');
  if (integration.standing === 'not_for_user') return untrusted('integration_not_for_user');
  return strength === 'organization_secret' && !integration.trustsSharedSecret
    ? untrusted('enrollment_strength_insufficient')
    : { trusted: true };
}

/**
 * Is the certificate itself in good standing? In this order: known, of a device that is not blocked, not revoked, not
 * suspended, not superseded for longer than its overlap, in its validity period, issued by an authority that is still
 * active, while device trust is on, through an integration that is in use for this user, and enrolled strongly enough.
 */
export function certificateStanding(
  certificate: CertificateFacts | undefined,
  nowMs: number,
): DeviceTrust {
  if (certificate === undefined || certificate.status === 'intent') {
    return untrusted('certificate_unknown');
  }
  if (certificate.deviceBlocked) return untrusted('device_blocked');
  if (certificate.status === 'revoked') return untrusted('certificate_revoked');
  if (certificate.status === 'suspended') return untrusted('certificate_suspended');
  if (certificate.status === 'superseded' && nowMs > (certificate.usableUntilMs ?? 0)) {
    return untrusted('certificate_superseded');
  }
  if (nowMs < certificate.notBeforeMs) return untrusted('certificate_not_yet_valid');
  if (nowMs > certificate.notAfterMs) return untrusted('certificate_expired');
  if (!certificate.issuerActive) return untrusted('issuer_not_active');
  return originStanding(certificate);
}

/** Was it revoked because all bindings of this very user were ended? That is what they, and whoever helps them, are told. */
function endedWithUser(certificate: CertificateFacts | undefined, facts: TrustFacts): boolean {
  return (
    certificate?.status === 'revoked' &&
    certificate.boundUser === facts.subject &&
    (certificate.boundEpoch ?? 0) <= facts.tombstoneEpoch
  );
}

/** May this user use a certificate that is bound already? */
function bindingStanding(certificate: CertificateFacts, facts: TrustFacts): DeviceTrust {
  const { boundUser } = certificate;
  if (boundUser !== facts.subject) {
    const isSpelling = boundUser !== undefined && nameKey(boundUser) === nameKey(facts.subject);
    return untrusted(
      isSpelling ? 'certificate_bound_to_other_spelling' : 'certificate_bound_to_other_user',
    );
  }
  return (certificate.boundEpoch ?? 0) <= facts.tombstoneEpoch
    ? untrusted('user_revoked')
    : { trusted: true };
}

/** The one place that says what "trusted" means. The first reason that applies is the one given. */
export function deviceTrust(facts: TrustFacts, nowMs: number): DeviceTrust {
  if (facts.evidenceFailure !== undefined) return untrusted(facts.evidenceFailure);
  if (facts.challengeExpired) return untrusted('challenge_expired');
  if (facts.mtlsEvidenceExpired) return untrusted('mtls_evidence_expired');
  if (facts.certificates.length === 0) return untrusted('evidence_missing');
  // Before the standing of the second one, which is not on record here when it belongs to another device.
  const [first, ...others] = facts.certificates;
  const standing = certificateStanding(first, nowMs);
  if (!standing.trusted) {
    return endedWithUser(first, facts) && standing.reason === 'certificate_revoked'
      ? untrusted('user_revoked')
      : standing;
  }
  const { enrollmentStrengths } = facts;
  // Of a lineage all were enrolled alike.
  if (first !== undefined && enrollmentStrengths?.includes(first.strength) === false) {
    return untrusted('enrollment_strength_insufficient');
  }
  if (facts.lineageMismatch) return untrusted('evidence_lineage_mismatch');
  for (const other of others) {
    const otherStanding = certificateStanding(other, nowMs);
    if (!otherStanding.trusted) return otherStanding;
  }
  for (const certificate of facts.certificates) {
    if (certificate?.boundUser === undefined) continue;
    const bound = bindingStanding(certificate, facts);
    if (!bound.trusted) return bound;
  }
  if (first?.boundUser === undefined && !facts.subjectAuthenticated) {
    return untrusted('subject_not_authenticated');
  }
  if (facts.subjectInactive) return untrusted('subject_inactive');
  // Asked for where one of them is not bound yet, be it the second.
  const { reservation } = facts;
  if (reservation?.ok === false) return untrusted(reservation.reason);
  if (reservation !== undefined && reservation.epoch <= facts.tombstoneEpoch) {
    return untrusted('user_revoked');
  }
  return { trusted: true };
}
