import type { DecisionReason } from '@countersign/protocol';
import { encodeBase64url } from '@countersign/protocol';
import type { DeviceResponseClaims } from '@countersign/protocol/device-response';
import { decisionTokenTtlSeconds, maxSnapshotAgeMs } from '@countersign/protocol/limits';
import type { ChainHead } from '../audit/hash-chain.ts';
import { type CertificateFacts, certificateStanding, deviceTrust } from '../policy/device-trust.ts';
import { evaluatePolicy, type PolicyOutcome } from '../policy/evaluate.ts';
import type { PolicyDocument } from '../policy/policy-document.ts';
import { appendDecision, type DecisionRecord, findDecision } from './decision-record.ts';
import { type CertificateRow, findCertificate } from './device-records.ts';
import type { RefusalLimit } from './refusal-limit.ts';

/** A device response whose signature has been verified with the key of the certificate it carries. */
export type VerifiedResponse = {
  /** SHA-256 of exactly the certificate bytes that the signature was verified with. */
  readonly certificateSha256: Uint8Array;
  readonly claims: DeviceResponseClaims;
};

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
  /** Present when the challenge opened for this client and transaction. */
  readonly challenge: { readonly id: string; readonly expiresAtMs: number } | undefined;
  /** False where the shard is the challenge's own, because the one that the certificate names does not know it. */
  readonly shardOfCertificate: boolean;
  readonly evidence:
    | { readonly ok: true; readonly response: VerifiedResponse }
    | { readonly ok: false; readonly reason: DecisionReason };
  /** Whether the origin in the evidence is registered for the client now: its challenge may be older than a change. */
  readonly originRegistered: boolean;
  readonly snapshot: { readonly version: number; readonly readAtMs: number };
  readonly policy: PolicyDocument | undefined;
  /** A denial that no evidence can mend: unknown application, client not allowed for it, unknown action. */
  readonly structuralDenial: DecisionReason | undefined;
  readonly activeIssuerIds: readonly string[];
  /** Answer of the organization to a reservation, on the second call. */
  readonly reservation:
    | { readonly ok: true; readonly epoch: number }
    | { readonly ok: false; readonly reason: 'subject_inactive' }
    | undefined;
};

export type DecideResult =
  | { readonly kind: 'decided'; readonly record: DecisionRecord }
  | { readonly kind: 'needs_snapshot' }
  | { readonly kind: 'certificate_not_here' }
  | { readonly kind: 'needs_reservation' }
  | { readonly kind: 'rate_limited' };

/** What the block needs of its object. `randomId` gives 16 random bytes as base64url. */
export type DecideContext = {
  readonly sql: SqlStorage;
  readonly shard: number;
  readonly head: ChainHead;
  readonly nowMs: number;
  readonly randomId: () => string;
  readonly refusals: RefusalLimit;
};

type Block = { readonly result: DecideResult; readonly head: ChainHead };

function certificateFacts(row: CertificateRow, signIn: SignIn): CertificateFacts {
  return {
    status: row.status,
    notBeforeMs: row.not_before_ms,
    notAfterMs: row.not_after_ms,
    issuerActive: signIn.activeIssuerIds.includes(row.issuer_id),
    boundUser: row.bound_user ?? undefined,
  };
}

function findEvidenceFailure({ evidence, originRegistered }: SignIn): DecisionReason | undefined {
  if (!evidence.ok) return evidence.reason;
  return originRegistered ? undefined : 'response_wrong_origin';
}

/** The part of a record that follows from the request alone. */
function requestFields(context: DecideContext, signIn: SignIn, row: CertificateRow | undefined) {
  const response = signIn.evidence.ok ? signIn.evidence.response : undefined;
  return {
    shard: context.shard,
    recorded_at_ms: context.nowMs,
    client_id: signIn.clientId,
    subject_type: signIn.subjectType,
    subject: signIn.subject,
    resource_type: signIn.resourceType,
    application: signIn.application,
    action: signIn.action,
    subject_authenticated: signIn.subjectAuthenticated,
    transaction_hash: signIn.transactionHash,
    request_hash: signIn.requestHash,
    organization_version: signIn.snapshot.version,
    policy_version: signIn.policy?.version ?? 0,
    device_id: row?.device_id ?? '',
    ...(row === undefined ? {} : { certificate_number: row.certificate_number }),
    ...(response === undefined
      ? {}
      : {
          certificate_sha256: encodeBase64url(response.certificateSha256),
          response: {
            origin: response.claims.origin,
            device_time_seconds: response.claims.iat,
            host_version: response.claims.host_version,
            key_protection: response.claims.key_protection,
            development: response.claims.development,
            posture: response.claims.posture,
          },
        }),
  };
}

/**
 * Records a refusal that no challenge keys: under a fresh random id, never replayed, without a token, and no more
 * often than the client's allowance, since one challenge, or none, would do for any number of them.
 */
function refuse(
  context: DecideContext,
  signIn: SignIn,
  row: CertificateRow | undefined,
  reason: DecisionReason,
  spentId: string | undefined,
): Block {
  if (!context.refusals.take(signIn.clientId, context.nowMs)) {
    return { result: { kind: 'rate_limited' }, head: context.head };
  }
  const { record, head } = appendDecision(context.sql, context.head, {
    ...requestFields(context, signIn, row),
    id: context.randomId(),
    opened: false,
    decision: false,
    reason,
    rule: 'none',
    device_trusted: false,
    bound_now: false,
    ...(spentId === undefined ? {} : { spent_id: spentId }),
  });
  return { result: { kind: 'decided', record }, head };
}

/**
 * Answers a request whose challenge is spent: the recorded outcome to a retry of the same request while its token
 * lives and nothing it rested on has lost its standing; a refusal to everything else.
 */
function answerSpent(
  context: DecideContext,
  signIn: SignIn,
  row: CertificateRow | undefined,
  spent: DecisionRecord,
): Block {
  const isRetry =
    spent.client_id === signIn.clientId &&
    spent.request_hash === signIn.requestHash &&
    spent.token !== undefined &&
    context.nowMs < spent.token.exp * 1000;
  if (!isRetry) return refuse(context, signIn, row, 'challenge_already_used', spent.id);
  // A recorded denial rests on no standing that could have been lost since.
  if (spent.decision && spent.device_trusted) {
    const facts = row === undefined ? undefined : certificateFacts(row, signIn);
    const standing = certificateStanding(facts, context.nowMs);
    const stillBound = row?.bound_user === spent.subject && row.bound_epoch === spent.epoch;
    if (!standing.trusted || !stillBound) {
      return refuse(context, signIn, row, 'revoked', spent.id);
    }
  }
  return { result: { kind: 'decided', record: spent }, head: context.head };
}

/**
 * The decision: one synchronous block from the first read to the last write.
 *
 * 1. the snapshot must be fresh, or nothing is written
 * 2. the certificate is looked up by its SHA-256; absent means unknown, which the challenge's own shard decides
 * 3. a spent challenge is answered from its row before anything else is judged
 * 4. trust is computed from facts, then the policy decides
 * 5. a first binding needs the organization's reservation, or nothing is written
 * 6. the binding and the row are written together
 */
export function decide(context: DecideContext, signIn: SignIn): Block {
  const { sql, nowMs, head } = context;
  // A read time far ahead of this clock says nothing about an age, so it is no better than one far behind.
  if (Math.abs(nowMs - signIn.snapshot.readAtMs) > maxSnapshotAgeMs) {
    return { result: { kind: 'needs_snapshot' }, head };
  }

  const evidence = signIn.evidence;
  const row = evidence.ok ? findCertificate(sql, evidence.response.certificateSha256) : undefined;

  if (signIn.challenge === undefined) {
    const reason = evidence.ok ? 'challenge_malformed' : evidence.reason;
    return refuse(context, signIn, row, signIn.structuralDenial ?? reason, undefined);
  }
  // Recorded here it would be one decision for each shard that an invented certificate can name.
  if (evidence.ok && row === undefined && signIn.shardOfCertificate) {
    return { result: { kind: 'certificate_not_here' }, head };
  }

  const spent = findDecision(sql, signIn.challenge.id, row?.device_id ?? '');
  if (spent !== undefined) return answerSpent(context, signIn, row, spent);

  const trust = deviceTrust(
    {
      evidenceFailure: findEvidenceFailure(signIn),
      challengeExpiresAtMs: signIn.challenge.expiresAtMs,
      certificate: row === undefined ? undefined : certificateFacts(row, signIn),
      subject: signIn.subject,
      subjectAuthenticated: signIn.subjectAuthenticated,
      bindingRefused: signIn.reservation?.ok === false ? signIn.reservation.reason : undefined,
    },
    nowMs,
  );
  const outcome = decideByPolicy(signIn, trust);

  const binds =
    outcome.decision && trust.trusted && row !== undefined && row.bound_user === null
      ? row
      : undefined;
  if (binds !== undefined && signIn.reservation?.ok !== true) {
    return { result: { kind: 'needs_reservation' }, head };
  }
  const epoch = signIn.reservation?.ok === true ? signIn.reservation.epoch : undefined;
  if (binds !== undefined && epoch !== undefined) {
    sql.exec(
      `UPDATE certificates SET status = 'bound', bound_user = ?, bound_epoch = ?
       WHERE certificate_number = ? AND status = 'issued' AND bound_user IS NULL`,
      signIn.subject,
      epoch,
      binds.certificate_number,
    );
  }
  const restsOnEpoch = binds !== undefined ? epoch : (row?.bound_epoch ?? undefined);

  const nowSeconds = Math.floor(nowMs / 1000);
  const appended = appendDecision(sql, head, {
    ...requestFields(context, signIn, row),
    id: signIn.challenge.id,
    opened: true,
    decision: outcome.decision,
    reason: outcome.reason,
    rule: outcome.rule,
    device_trusted: trust.trusted,
    bound_now: binds !== undefined,
    ...(trust.trusted && restsOnEpoch !== undefined ? { epoch: restsOnEpoch } : {}),
    ...(trust.trusted || trust.reason === outcome.reason ? {} : { untrusted_reason: trust.reason }),
    token: {
      jti: context.randomId(),
      iat: nowSeconds,
      exp: nowSeconds + decisionTokenTtlSeconds,
    },
  });
  return { result: { kind: 'decided', record: appended.record }, head: appended.head };
}

function decideByPolicy(signIn: SignIn, trust: ReturnType<typeof deviceTrust>): PolicyOutcome {
  if (signIn.structuralDenial !== undefined || signIn.policy === undefined) {
    const reason = signIn.structuralDenial ?? 'application_unknown';
    return { decision: false, reason, rule: 'none' };
  }
  return evaluatePolicy(signIn.policy, trust);
}
