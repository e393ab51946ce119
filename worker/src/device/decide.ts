import {
  completedOutcome,
  type DeviceTrust,
  evaluatePolicy,
  findMatch,
  meetsDemand,
  noRuleId,
  type PolicyFacts,
  type PolicyOutcome,
  withReport,
} from '@countersign/policy';
import type { DecisionReason } from '@countersign/protocol';
import type { DecisionRecord } from '@countersign/protocol/decision-record';
import {
  decisionTokenTtlSeconds,
  maxSnapshotAgeMs,
  stepUpTtlSeconds,
} from '@countersign/protocol/limits';
import { deviceTrust, type TrustFacts } from '../policy/device-trust.ts';
import { answerSpent } from './answer-spent.ts';
import { buryUser } from './bury-user.ts';
import type { CertificateStandingRow } from './certificate-records.ts';
import type { DecideContext } from './decide-context.ts';
import { certificateAgeSeconds, requestFields } from './decision-fields.ts';
import { appendDecision, findDecision } from './decision-record.ts';
import { findTombstone } from './device-records.ts';
import { examineCompletion } from './examine-completion.ts';
import {
  certificateFacts,
  findNamedCertificates,
  type NamedCertificates,
} from './named-certificates.ts';
import { refuseSignIn } from './refuse-sign-in.ts';
import type { DecideResult, SignIn } from './sign-in.ts';

/**
 * The decision: one synchronous block from the first read to the last write.
 *
 * 1. the snapshot must be fresh, or nothing is written
 * 2. certificates are looked up by their SHA-256; one that is absent is unknown, which the challenge's own shard decides
 * 3. a spent challenge is answered from its row before anything else is judged
 * 4. a completion must be the one that a pending row waits for
 * 5. trust is computed from facts, then the policy decides
 * 6. a first binding needs the organization's reservation, or nothing is written
 * 7. the binding and the row are written together
 */
export function decide(context: DecideContext, signIn: SignIn): DecideResult {
  const { sql, nowMs } = context;
  // A read time far ahead of this clock says nothing about an age, so it is no better than one far behind.
  if (Math.abs(nowMs - signIn.snapshot.readAtMs) > maxSnapshotAgeMs) {
    return { kind: 'needs_snapshot' };
  }

  const { evidence, challenge, completion, reservation } = signIn;
  // A newer epoch was given before the older one's tombstone came: it must not outrun what that suspends.
  if (reservation?.ok === true) {
    buryUser(context, signIn.subject, reservation.epoch - 1, 'affiliationChanged');
  }
  const named = findNamedCertificates(sql, signIn, nowMs);
  if (challenge === undefined) {
    const reason = evidence.ok ? 'challenge_malformed' : evidence.reason;
    return refuseSignIn(context, signIn, named, signIn.structuralDenial ?? reason, undefined);
  }
  // Recorded here it would be one decision for each shard that an invented certificate can name.
  if (evidence.ok && named.first === undefined && signIn.shardOfCertificate) {
    return { kind: 'certificate_not_here' };
  }

  const deviceId = named.first?.device_id ?? '';
  const spent = findDecision(sql, challenge.id, deviceId, completion === undefined ? 0 : 1);
  if (spent !== undefined) return answerSpent(context, signIn, named, spent);

  const pending =
    completion === undefined ? undefined : findDecision(sql, challenge.id, deviceId, 0);
  if (completion !== undefined) {
    const refusal = examineCompletion(signIn, completion, pending, nowMs);
    if (refusal !== undefined) {
      return refuseSignIn(context, signIn, named, refusal, challenge.id);
    }
  }

  const trust = deviceTrust(trustFacts(context, signIn, named, pending?.recorded_at_ms), nowMs);
  const outcome = judge(signIn, policyFacts(signIn, named, trust, nowMs));
  if (outcome === 'step_up_insufficient') {
    return refuseSignIn(context, signIn, named, outcome, challenge.id);
  }
  return recordOutcome(context, signIn, named, { id: challenge.id, trust, outcome });
}

/** @param waitsSinceMs when a pending sign-in was first asked about: what was in time then is not late because it waits */
function trustFacts(
  context: DecideContext,
  signIn: SignIn,
  named: NamedCertificates,
  waitsSinceMs: number | undefined,
): TrustFacts {
  const beganAtMs = waitsSinceMs ?? context.nowMs;
  const { evidence, challenge, reservation } = signIn;
  const mtlsExpiresAtMs = evidence.ok ? evidence.mtls?.expiresAtMs : undefined;
  // A wait that began under an older epoch ends with it, although the user may be active again. Nobody else is asked:
  // where the clock went back, the epoch of a user who was revoked just before it seems to be newer than any sign-in.
  const epochIsNewer =
    waitsSinceMs !== undefined && reservation?.ok === true && reservation.sinceMs > waitsSinceMs;
  return {
    evidenceFailure: findEvidenceFailure(signIn),
    challengeExpired: challenge === undefined || beganAtMs > challenge.expiresAtMs,
    mtlsEvidenceExpired: mtlsExpiresAtMs !== undefined && beganAtMs > mtlsExpiresAtMs,
    certificates: named.all.map((row) => certificateFacts(row, signIn)),
    lineageMismatch: named.lineageMismatch,
    enrollmentStrengths: signIn.policy?.enrollment_strengths,
    subject: signIn.subject,
    subjectInactive: signIn.structuralDenial === 'subject_inactive',
    subjectAuthenticated: signIn.subjectAuthenticated,
    tombstoneEpoch: findTombstone(context.sql, signIn.subject),
    reservation: epochIsNewer ? { ok: false, reason: 'user_revoked' } : reservation,
  };
}

function findEvidenceFailure({ evidence, originRegistered }: SignIn): DecisionReason | undefined {
  if (!evidence.ok) return evidence.reason;
  return originRegistered ? undefined : 'response_wrong_origin';
}

/** What the policy is asked about: what the request said, and what is on record of the device. */
function policyFacts(
  { facts }: SignIn,
  { first, report }: NamedCertificates,
  trust: DeviceTrust,
  nowMs: number,
): PolicyFacts {
  return {
    ...facts,
    posture: withReport(facts.posture, report),
    deviceTrust: trust,
    enrollmentStrength: first?.enrollment_strength ?? 'none',
    certificateAgeSeconds: first === undefined ? 'none' : certificateAgeSeconds(first, nowMs),
    atMs: nowMs,
  };
}

/** The policy's word; of a completion, with what was asserted in place of what the policy asks for. */
function judge(signIn: SignIn, facts: PolicyFacts): PolicyOutcome | 'step_up_insufficient' {
  const { policy, completion, subjectAuthenticated, reservation } = signIn;
  // What the organization has just said about the user counts more than an older snapshot, for every policy.
  const inactive = reservation?.ok === false ? reservation.reason : undefined;
  const structuralDenial = signIn.structuralDenial ?? inactive;
  if (structuralDenial !== undefined || policy === undefined) {
    const reason = structuralDenial ?? 'application_unknown';
    return { effect: 'deny', reason, rule: noRuleId };
  }
  // Places are settled by now: no rule of this policy asks for a zone that the address could be in.
  const outcome = evaluatePolicy(policy, (asked) => findMatch(policy, asked, []), facts);
  if (outcome.effect !== 'step_up' || completion === undefined) return outcome;
  return meetsDemand(outcome.demand, subjectAuthenticated, completion)
    ? completedOutcome(outcome)
    : 'step_up_insufficient';
}

type Decided = {
  /** The challenge's id. */
  readonly id: string;
  readonly trust: DeviceTrust;
  readonly outcome: PolicyOutcome;
};

function recordOutcome(
  context: DecideContext,
  signIn: SignIn,
  named: NamedCertificates,
  { id, trust, outcome }: Decided,
): DecideResult {
  const binds =
    outcome.effect === 'allow' && trust.trusted
      ? named.all.filter((row) => row !== undefined && row.bound_user === null)
      : [];
  if (binds.length > 0 && signIn.reservation?.ok !== true) {
    return { kind: 'needs_reservation' };
  }
  const reservedEpoch = signIn.reservation?.ok === true ? signIn.reservation.epoch : undefined;
  if (reservedEpoch !== undefined) {
    for (const row of binds) bind(context.sql, row, signIn.subject, reservedEpoch);
  }
  const restsOnEpoch = binds.length > 0 ? reservedEpoch : (named.first?.bound_epoch ?? undefined);
  const record = appendDecision(context, {
    ...requestFields(context, signIn, named),
    id,
    opened: true,
    decision: outcome.effect === 'allow',
    reason: outcome.reason,
    rule: outcome.rule,
    device_trusted: trust.trusted,
    bound_now: binds.length > 0,
    ...(trust.trusted && restsOnEpoch !== undefined ? { epoch: restsOnEpoch } : {}),
    ...(trust.trusted || trust.reason === outcome.reason ? {} : { untrusted_reason: trust.reason }),
    ...('reauthenticateAfterSeconds' in outcome
      ? { reauthenticate_after_seconds: outcome.reauthenticateAfterSeconds }
      : {}),
    ...finalOrPending(context, signIn, outcome),
  });
  return { kind: 'decided', record };
}

/** Binds the whole lineage: those that the certificate renewed, and a renewal whose signature is being made. */
function bind(
  sql: SqlStorage,
  row: CertificateStandingRow | undefined,
  user: string,
  epoch: number,
): void {
  if (row === undefined) return;
  sql.exec(
    `UPDATE certificates SET bound_user = ?, bound_epoch = ?,
       status = CASE status WHEN 'issued' THEN 'bound' ELSE status END
     WHERE device_id = ? AND lineage = ? AND bound_user IS NULL
       AND status IN ('intent', 'issued', 'superseded')`,
    user,
    epoch,
    row.device_id,
    row.lineage,
  );
}

/** A final outcome has a token, whose claims a retry gets again; one that waits says for what. */
function finalOrPending(
  { nowMs, randomId }: DecideContext,
  { evidenceHash }: SignIn,
  outcome: PolicyOutcome,
): Pick<DecisionRecord, 'pending' | 'token'> {
  if (outcome.effect === 'step_up') {
    const { factor, subjectAuthenticated } = outcome.demand;
    return {
      pending: {
        ...(factor === undefined ? {} : { factor }),
        subject_authenticated: subjectAuthenticated,
        evidence_hash: evidenceHash,
        expires_at_ms: nowMs + stepUpTtlSeconds * 1000,
      },
    };
  }
  const nowSeconds = Math.floor(nowMs / 1000);
  return {
    token: { jti: randomId(), iat: nowSeconds, exp: nowSeconds + decisionTokenTtlSeconds },
  };
}
