import type { CheckedCriterion } from '@countersign/policy';
import { answerTexts } from '@countersign/protocol/answer-texts';
import { isDecisionReason } from '@countersign/protocol/decision-reasons';
import type { DecisionRecord } from '@countersign/protocol/decision-record';
import { completionRequest, type EvaluationAnswer } from '@countersign/protocol/evaluation';
import { findWrongAddress } from '../../access/read-evaluation.ts';
import { type EvaluateContext, evaluateSignIn } from '../../challenge/evaluate-sign-in.ts';
import { currentTimeMs } from '../../clock.ts';
import { authenticateRequest } from '../authenticate-request.ts';
import { askObject, type Broker, deviceShard } from '../broker.ts';
import { readBody } from '../read-body.ts';
import { logEvent, type RouteContext } from '../route-context.ts';

export function evaluateContext(broker: Broker): EvaluateContext {
  return {
    brokerUrl: broker.brokerUrl,
    organizationId: broker.organizationId,
    shardCount: broker.shardCount,
    issuers: broker.issuers,
    challengeKeys: broker.challengeKeys,
    mtlsEvidenceKeys: broker.mtlsEvidenceKeys,
    responseKeys: broker.responseKeys,
    decisionKeys: broker.decisionKeys,
    presentedCertificates: broker.presentedCertificates,
    issuedChallenges: broker.issuedChallenges,
    decide: (shard, signIn) => askObject(() => deviceShard(broker, shard).decide(shard, signIn)),
    reserveBinding: (userId, shard) =>
      askObject(() => broker.organization().reserveBinding(userId, shard)),
    refreshSnapshot: async () => {
      const read = await broker.snapshots.refresh(currentTimeMs());
      return read.ok ? { snapshot: read.snapshot, readAtMs: read.readAtMs } : undefined;
    },
  };
}

function stepUpOf(pending: NonNullable<DecisionRecord['pending']>) {
  const { acr_values = [], amr_values = [] } = pending.factor ?? {};
  return {
    acr_values,
    amr_values,
    subject_authenticated: pending.subject_authenticated,
    expires_at: new Date(pending.expires_at_ms).toISOString(),
  };
}

export function answerOf(
  record: DecisionRecord,
  decisionToken: string | undefined,
  criteria: readonly CheckedCriterion[] | undefined,
  learnMoreUrl: string | undefined,
): EvaluationAnswer {
  // A record written by a newer version may carry a reason without texts here; it still denies or allows as recorded.
  const texts = isDecisionReason(record.reason)
    ? answerTexts[record.reason]
    : answerTexts.internal_error;
  return {
    decision: record.decision,
    context: {
      reason_code: record.reason,
      reason_admin: { en: texts.administrator },
      reason_user: { en: texts.person },
      decision_id: `${record.shard}.${record.sequence}`,
      policy: {
        version: record.policy_version,
        rule: record.rule,
        ...(criteria === undefined ? {} : { criteria: [...criteria] }),
      },
      device_trusted: record.device_trusted,
      ...(record.untrusted_reason === undefined
        ? {}
        : { untrusted_reason: record.untrusted_reason }),
      ...(record.reauthenticate_after_seconds === undefined
        ? {}
        : { reauthenticate_after_seconds: record.reauthenticate_after_seconds }),
      ...(record.pending === undefined ? {} : { step_up: stepUpOf(record.pending) }),
      // Not of the decision: a retry gets the link of today.
      ...(record.decision || learnMoreUrl === undefined ? {} : { learn_more_url: learnMoreUrl }),
      ...(decisionToken === undefined ? {} : { decision_token: decisionToken }),
    },
  };
}

/** Every decision is on record; the log is for those who look for a denial, or for an attack, now. */
export function logDecision(record: DecisionRecord, requestId: string): void {
  const facts = {
    request_id: requestId,
    decision_id: `${record.shard}.${record.sequence}`,
    client: record.client_id,
    application: record.application,
    reason: record.reason,
    device_id: record.device_id,
  };
  if (record.alarm !== undefined) logEvent('alarm', { ...facts, alarm: record.alarm });
  if (record.decision) return;
  logEvent(record.pending === undefined ? 'denied' : 'pending', facts);
}

/** `POST /v1/completions`: finishes a pending decision with what the sign-in server asserts. */
export async function postCompletion(broker: Broker, context: RouteContext): Promise<Response> {
  const authenticated = await authenticateRequest(broker, context);
  if (!authenticated.ok) return authenticated.response;
  const body = await readBody(context.request, completionRequest);
  if (!body.ok) return context.refuse(body.problem);
  const wrong = findWrongAddress(body.value);
  if (wrong !== undefined) return context.refuse({ code: 'field_invalid', ...wrong });
  const { acr, amr } = body.value;
  const evaluated = await evaluateSignIn(
    evaluateContext(broker),
    authenticated.client,
    body.value,
    authenticated.read,
    { acr, amr },
  );
  if (!evaluated.ok) return context.refuse({ code: evaluated.code });
  const { record, decisionToken, criteria } = evaluated;
  logDecision(record, context.requestId);
  const { learnMoreUrl } = authenticated.read.snapshot;
  return Response.json(answerOf(record, decisionToken, criteria, learnMoreUrl));
}
