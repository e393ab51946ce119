import type { AssertedFactor, PolicyDocument, RequestFacts } from '@countersign/policy';
import type { DecisionReason, UnavailableCode } from '@countersign/protocol';
import type { DecisionRecord } from '@countersign/protocol/decision-record';
import type { DeviceResponseClaims } from '@countersign/protocol/device-response';
import type { IntegrationStanding } from '../policy/integration-standing.ts';

/** A device response whose signature has been verified with the key of the certificate it carries. */
export type VerifiedResponse = {
  /** SHA-256 of exactly the certificate bytes that the signature was verified with. */
  readonly certificateSha256: Uint8Array;
  readonly claims: DeviceResponseClaims;
};

/** The broker's own word that a TLS client proved the key of a certificate of its issuer. */
export type VerifiedMtlsEvidence = {
  readonly certificateSha256: Uint8Array;
  readonly origin: string;
  readonly expiresAtMs: number;
};

export type Evidence =
  | {
      readonly ok: true;
      /** At least one of the two. */
      readonly response: VerifiedResponse | undefined;
      readonly mtls: VerifiedMtlsEvidence | undefined;
      /** Why the client says that it has no response, beside mTLS evidence. */
      readonly reportedUnavailable: UnavailableCode | undefined;
    }
  | { readonly ok: false; readonly reason: DecisionReason };

/** The organization's answer to a reservation: the user's epoch, and since when it is that one. */
export type Reservation =
  | { readonly ok: true; readonly epoch: number; readonly sinceMs: number }
  | { readonly ok: false; readonly reason: 'subject_inactive' };

/** Everything that a decision rests on and that is not stored in the device's shard. */
export type SignIn = {
  readonly clientId: string;
  readonly subjectType: string;
  readonly subject: string;
  readonly resourceType: string;
  readonly application: string;
  readonly action: string;
  readonly subjectAuthenticated: boolean;
  readonly transactionHash: string;
  /** SHA-256 of the request's canonical body (RFC 8785); a retry has the same. */
  readonly requestHash: string;
  /** SHA-256 of the evidence's text, by which a completion knows it again. */
  readonly evidenceHash: string;
  /** Present when a pending decision is to be completed. */
  readonly completion: AssertedFactor | undefined;
  /** Present when the challenge opened for this client and transaction. */
  readonly challenge: { readonly id: string; readonly expiresAtMs: number } | undefined;
  /** False where the shard is the challenge's own, because the one that the certificate names does not know it. */
  readonly shardOfCertificate: boolean;
  readonly evidence: Evidence;
  /** Whether the origin in the evidence is registered for the client now: its challenge may be older than a change. */
  readonly originRegistered: boolean;
  readonly snapshot: { readonly version: number; readonly readAtMs: number };
  /** As it is for this request; see `CompiledPolicy.forRequest`. */
  readonly policy: PolicyDocument | undefined;
  readonly facts: RequestFacts;
  /** A denial that no evidence can mend: unknown application, client not allowed for it, unknown action, inactive user. */
  readonly structuralDenial: DecisionReason | undefined;
  readonly activeIssuerIds: readonly string[];
  /** How each integration stands for this user. */
  readonly integrations: readonly IntegrationStanding[];
  /** Answer of the organization to a reservation, on the second call. */
  readonly reservation: Reservation | undefined;
};

export type DecideResult =
  | { readonly kind: 'decided'; readonly record: DecisionRecord }
  | { readonly kind: 'needs_snapshot' }
  | { readonly kind: 'certificate_not_here' }
  | { readonly kind: 'needs_reservation' }
  | { readonly kind: 'rate_limited' };
