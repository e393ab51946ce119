import { type AssertedFactor, type CheckedCriterion, readAddress } from '@countersign/policy';
import type { DecisionReason } from '@countersign/protocol';
import { answerTexts } from '@countersign/protocol/answer-texts';
import type { DecisionRecord } from '@countersign/protocol/decision-record';
import {
  completionRequest,
  type EvaluationAnswer,
  type EvaluationRequest,
  evaluationRequest,
} from '@countersign/protocol/evaluation';
import type * as z from 'zod/mini';
import { type EvaluateContext, evaluateSignIn } from '../../challenge/evaluate-sign-in.ts';
import { currentTimeMs } from '../../clock.ts';
import type { ReadSnapshot, RegisteredClient } from '../../directory/organization-snapshot.ts';
import { authenticateClient } from '../authenticate-client.ts';
import { askObject, type Broker, deviceShard } from '../broker.ts';
import { readBody } from '../read-body.ts';
import { logEvent, type RouteContext } from '../route-context.ts';

function evaluateContext(broker: Broker): EvaluateContext {
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

type Authenticated =
  | { readonly ok: true; readonly client: RegisteredClient; readonly read: ReadSnapshot }
  | { readonly ok: false; readonly response: Response };

/** Which client asks, and the organization that it is known by. */
export async function authenticate(broker: Broker, context: RouteContext): Promise<Authenticated> {
  const nowMs = currentTimeMs();
  const read = await broker.snapshots.read(nowMs, context.waitUntil);
  if (!read.ok) {
    return { ok: false, response: context.refuse({ code: read.code, logDetail: read.detail }) };
  }
  const authentication = await authenticateClient(
    context.request.headers.get('Authorization'),
    read.snapshot,
    broker.brokerUrl,
    nowMs,
  );
  if (authentication.ok) {
    return {
      ok: true,
      client: authentication.client,
      read: { snapshot: read.snapshot, readAtMs: read.readAtMs },
    };
  }
  return {
    ok: false,
    response: context.refuse({
      code: 'client_authentication_failed',
      logDetail: authentication.detail,
    }),
  };
}

function isDecisionReason(reason: string): reason is DecisionReason {
  return Object.hasOwn(answerTexts, reason);
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

function answerOf(
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

/** Has a sign-in decided and says so, once more to whoever reads the log where it was denied. */
async function answerSignIn<Request extends EvaluationRequest>(
  broker: Broker,
  context: RouteContext,
  schema: z.ZodMiniType<Request>,
  completionOf: (request: Request) => AssertedFactor | undefined,
): Promise<Response> {
  const authenticated = await authenticate(broker, context);
  if (!authenticated.ok) return authenticated.response;
  const body = await readBody(context.request, schema);
  if (!body.ok) return context.refuse(body.problem);
  const { ip_address: address } = body.value.context;
  if (address !== undefined && readAddress(address) === undefined) {
    const detail = 'must be an IPv4 or IPv6 address';
    return context.refuse({ code: 'field_invalid', field: 'context.ip_address', detail });
  }

  const { client, read } = authenticated;
  const evaluated = await evaluateSignIn(
    evaluateContext(broker),
    client,
    body.value,
    read,
    completionOf(body.value),
  );
  if (!evaluated.ok) return context.refuse({ code: evaluated.code });
  const { record, decisionToken, criteria } = evaluated;
  logDecision(record, context.requestId);
  return Response.json(answerOf(record, decisionToken, criteria, read.snapshot.learnMoreUrl));
}

/** Every decision is on record; the log is for those who look for a denial, or for an attack, now. */
function logDecision(record: DecisionRecord, requestId: string): void {
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

/** `POST /access/v1/evaluation` (AuthZEN Authorization API 1.0). */
export async function postEvaluation(broker: Broker, context: RouteContext): Promise<Response> {
  return await answerSignIn(broker, context, evaluationRequest, () => undefined);
}

/** `POST /v1/completions`: finishes a pending decision with what the sign-in server asserts. */
export async function postCompletion(broker: Broker, context: RouteContext): Promise<Response> {
  return await answerSignIn(broker, context, completionRequest, ({ acr, amr }) => ({ acr, amr }));
}
