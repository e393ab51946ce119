import { type AssertedFactor, type Demand, meetsDemand } from '@countersign/policy';
import type { DecisionReason } from '@countersign/protocol';
import type { DecisionRecord } from '@countersign/protocol/decision-record';
import type { SignIn } from './sign-in.ts';

/**
 * Is this the completion that the pending row waits for? Same subject, resource, action and evidence; in time; what was
 * asked for is asserted. Client and transaction are the challenge's, which has opened for them.
 *
 * @returns why it is not; a refused completion leaves the row pending
 */
export function examineCompletion(
  signIn: SignIn,
  asserted: AssertedFactor,
  row: DecisionRecord | undefined,
  nowMs: number,
): DecisionReason | undefined {
  const pending = row?.pending;
  if (row === undefined || pending === undefined) return 'not_pending';
  if (nowMs > pending.expires_at_ms) return 'step_up_expired';
  if (row.subject !== signIn.subject || row.subject_type !== signIn.subjectType) {
    return 'step_up_wrong_subject';
  }
  const sameResource =
    row.application === signIn.application &&
    row.resource_type === signIn.resourceType &&
    row.action === signIn.action;
  if (!sameResource) return 'step_up_wrong_application';
  if (pending.evidence_hash !== signIn.evidenceHash) return 'step_up_wrong_evidence';
  const demand: Demand = {
    factor: pending.factor,
    subjectAuthenticated: pending.subject_authenticated,
  };
  return meetsDemand(demand, signIn.subjectAuthenticated, asserted)
    ? undefined
    : 'step_up_insufficient';
}
