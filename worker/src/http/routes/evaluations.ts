import { answerTexts } from '@countersign/protocol/answer-texts';
import {
  type AccessAnswer,
  type EvaluationsAnswer,
  type EvaluationsSemantic,
  evaluationsRequest,
} from '@countersign/protocol/authzen';
import { parseFields } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';
import { type EvaluateAllResult, type Evaluated, evaluateAll } from '../../access/evaluate-all.ts';
import { type ReadEvaluation, readEvaluation, withDefaults } from '../../access/read-evaluation.ts';
import { evaluateSignIn } from '../../challenge/evaluate-sign-in.ts';
import { currentTimeMs } from '../../clock.ts';
import type { AccessDecision } from '../../policy/decide-access.ts';
import { type Authenticated, authenticateRequest } from '../authenticate-request.ts';
import { askObject, type Broker, deviceShard } from '../broker.ts';
import { describeProblem } from '../problem.ts';
import { readBody } from '../read-body.ts';
import type { RouteContext } from '../route-context.ts';
import { shownContext } from '../shown-context.ts';
import { answerOf, evaluateContext, logDecision } from './evaluation.ts';

/** AuthZEN Authorization API 1.0: one evaluation, and several in one request. */

function accessAnswerOf(
  decided: AccessDecision,
  decisionId: string,
  learnMoreUrl: string | undefined,
): AccessAnswer {
  const { decision, reason, rule, policyVersion, criteria } = decided;
  const texts = answerTexts[reason];
  return {
    decision,
    context: {
      reason_code: reason,
      reason_admin: { en: texts.administrator },
      reason_user: { en: texts.person },
      decision_id: decisionId,
      ...(decision || learnMoreUrl === undefined ? {} : { learn_more_url: learnMoreUrl }),
      policy: { version: policyVersion, rule, criteria: [...criteria] },
    },
  };
}

/** What is answered to one evaluation, as one of several or alone. A failure is never a permit. */
function answerEvaluated(
  evaluated: Evaluated,
  context: RouteContext,
  learnMoreUrl: string | undefined,
): EvaluationsAnswer['evaluations'][number] {
  if (evaluated.kind === 'failed') {
    return { decision: false, context: { error: describeProblem(evaluated.problem) } };
  }
  if (evaluated.kind === 'access') {
    return accessAnswerOf(evaluated.decided, evaluated.decisionId, learnMoreUrl);
  }
  const { record, decisionToken, criteria } = evaluated.result;
  logDecision(record, context.requestId);
  return answerOf(record, decisionToken, criteria, learnMoreUrl);
}

type Asked = Extract<Authenticated, { readonly ok: true }>;

function evaluateFor(
  broker: Broker,
  { client, read }: Asked,
  evaluations: Iterable<ReadEvaluation>,
  semantic: EvaluationsSemantic,
): Promise<EvaluateAllResult> {
  const { brokerUrl, decisionKeys } = broker;
  const token = { brokerUrl, decisionKeys, clientId: client.client_id, nowMs: currentTimeMs() };
  const context = {
    ...shownContext(broker),
    token,
    evaluateSignIn: (request: Parameters<typeof evaluateSignIn>[2]) =>
      evaluateSignIn(evaluateContext(broker), client, request, read),
    recordAccess: (
      shard: number,
      entry: Parameters<ReturnType<typeof deviceShard>['recordAccess']>[1],
    ) => askObject(() => deviceShard(broker, shard).recordAccess(shard, entry)),
  };
  return evaluateAll(context, client, evaluations, semantic, read);
}

async function answerOne(
  broker: Broker,
  context: RouteContext,
  asked: Asked,
  body: unknown,
): Promise<Response> {
  const result = await evaluateFor(broker, asked, [readEvaluation(body)], 'execute_all');
  if (!result.ok) return context.refuse({ code: result.code });
  const [evaluated] = result.evaluated;
  if (evaluated === undefined) return context.refuse({ code: 'internal_error' });
  return evaluated.kind === 'failed'
    ? context.refuse(evaluated.problem)
    : Response.json(answerEvaluated(evaluated, context, asked.read.snapshot.learnMoreUrl));
}

/** Which of two forms a body has is seen from its content. */
const anyBody = z.unknown();

/** `POST /access/v1/evaluation`. */
export async function postEvaluation(broker: Broker, context: RouteContext): Promise<Response> {
  const authenticated = await authenticateRequest(broker, context);
  if (!authenticated.ok) return authenticated.response;
  const body = await readBody(context.request, anyBody);
  if (!body.ok) return context.refuse(body.problem);
  return await answerOne(broker, context, authenticated, body.value);
}

/** `POST /access/v1/evaluations`. */
export async function postEvaluations(broker: Broker, context: RouteContext): Promise<Response> {
  const authenticated = await authenticateRequest(broker, context);
  if (!authenticated.ok) return authenticated.response;
  const body = await readBody(context.request, anyBody, ['application/json'], maxEvaluationsBytes);
  if (!body.ok) return context.refuse(body.problem);
  const parsed = parseFields(evaluationsRequest, body.value);
  if (!parsed.ok) {
    const { field, detail } = parsed;
    return context.refuse({ code: 'field_invalid', field, detail });
  }
  const { evaluations = [], options, ...defaults } = parsed.value;
  if (evaluations.length === 0) return await answerOne(broker, context, authenticated, body.value);
  const semantic = options?.evaluations_semantic ?? 'execute_all';
  // Read one after the other: what comes after the one that settles it is not looked at.
  function* read() {
    for (const evaluation of evaluations) yield readEvaluation(withDefaults(evaluation, defaults));
  }
  const result = await evaluateFor(broker, authenticated, read(), semantic);
  if (!result.ok) return context.refuse({ code: result.code });
  const { learnMoreUrl } = authenticated.read.snapshot;
  const answer: EvaluationsAnswer = {
    evaluations: result.evaluated.map((one) => answerEvaluated(one, context, learnMoreUrl)),
  };
  return Response.json(answer);
}

/** A hundred that name everything themselves. */
const maxEvaluationsBytes = 256 * 1024;
