import type { DecisionReason } from '@countersign/protocol';
import {
  completionRequest,
  type EvaluationAnswer,
  evaluationRequest,
} from '@countersign/protocol/evaluation';
import { reasonTexts } from '@countersign/protocol/reason-texts';
import { type EvaluateContext, evaluateSignIn } from '../../challenge/evaluate-sign-in.ts';
import { currentTimeMs } from '../../clock.ts';
import type { DecisionRecord } from '../../device/decision-record.ts';
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
    activeIssuerIds: [broker.issuerId],
    challengeKey: broker.challengeKey,
    challengePublicKey: broker.challengePublicKey,
    responseKey: broker.responseKey,
    presentedCertificates: broker.presentedCertificates,
    issuedChallenges: broker.issuedChallenges,
    decisionKey: broker.decisionKey,
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

async function authenticate(broker: Broker, context: RouteContext): Promise<Authenticated> {
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
  return Object.hasOwn(reasonTexts, reason);
}

function answerOf(record: DecisionRecord, decisionToken: string | undefined): EvaluationAnswer {
  // A record written by a newer version may carry a reason without texts here; it still denies or allows as recorded.
  const texts = isDecisionReason(record.reason)
    ? reasonTexts[record.reason]
    : reasonTexts.internal_error;
  return {
    decision: record.decision,
    context: {
      reason_code: record.reason,
      reason_admin: { en: texts.administrator },
      reason_user: { en: texts.person },
      decision_id: `${record.shard}.${record.sequence}`,
      policy: { version: record.policy_version, rule: record.rule },
      device_trusted: record.device_trusted,
      ...(record.untrusted_reason === undefined
        ? {}
        : { untrusted_reason: record.untrusted_reason }),
      ...(decisionToken === undefined ? {} : { decision_token: decisionToken }),
    },
  };
}

/** `POST /access/v1/evaluation` (AuthZEN Authorization API 1.0). */
export async function postEvaluation(broker: Broker, context: RouteContext): Promise<Response> {
  const authenticated = await authenticate(broker, context);
  if (!authenticated.ok) return authenticated.response;
  const body = await readBody(context.request, evaluationRequest);
  if (!body.ok) return context.refuse(body.problem);

  const { client, read } = authenticated;
  const evaluated = await evaluateSignIn(evaluateContext(broker), client, body.value, read);
  if (!evaluated.ok) return context.refuse({ code: evaluated.code });
  const { record, decisionToken } = evaluated;
  // Every decision is on record; the log is for those who look for a denial now.
  if (!record.decision) {
    logEvent('denied', {
      request_id: context.requestId,
      decision_id: `${record.shard}.${record.sequence}`,
      client: record.client_id,
      application: record.application,
      reason: record.reason,
      device_id: record.device_id,
    });
  }
  return Response.json(answerOf(record, decisionToken));
}

/** `POST /v1/completions`: there are no pending decisions in this version, so there is never one to complete. */
export async function postCompletion(broker: Broker, context: RouteContext): Promise<Response> {
  const authenticated = await authenticate(broker, context);
  if (!authenticated.ok) return authenticated.response;
  const body = await readBody(context.request, completionRequest);
  if (!body.ok) return context.refuse(body.problem);
  return context.refuse({ code: 'not_pending' });
}
