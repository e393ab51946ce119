import { createHash } from 'node:crypto';
import type { EvaluationsSemantic } from '@countersign/protocol/authzen';
import type { EvaluationRequest } from '@countersign/protocol/evaluation';
import type { FieldProblem } from '@countersign/protocol/schemas';
import type { EvaluateResult } from '../challenge/evaluate-sign-in.ts';
import { recordedOf } from '../device/access-record.ts';
import { shardOfBytes } from '../device/placement.ts';
import type { AccessEntry, RecordAccessResult } from '../device/record-access.ts';
import type { ReadSnapshot, RegisteredClient } from '../directory/organization-snapshot.ts';
import { type AccessDecision, decideAccess } from '../policy/decide-access.ts';
import type { StorageUnavailable } from '../storage/durable-store.ts';
import type { TokenContext } from './open-decision-token.ts';
import type { ReadEvaluation } from './read-evaluation.ts';
import type { ShownContext } from './shown-sign-in.ts';
import { ShownTrust } from './shown-trust.ts';

/** What the use case needs of the world, as functions. */
export type EvaluateAllContext = ShownContext & {
  readonly token: TokenContext;
  readonly evaluateSignIn: (request: EvaluationRequest) => Promise<EvaluateResult>;
  readonly recordAccess: (
    shard: number,
    entry: AccessEntry,
  ) => Promise<RecordAccessResult | StorageUnavailable>;
};

/** What became of one evaluation. */
export type Evaluated =
  | { readonly kind: 'sign_in'; readonly result: Extract<EvaluateResult, { ok: true }> }
  | { readonly kind: 'access'; readonly decided: AccessDecision; readonly decisionId: string }
  | {
      readonly kind: 'failed';
      readonly problem:
        | ({ readonly code: 'field_invalid' } & FieldProblem)
        | Pick<Extract<EvaluateResult, { ok: false }>, 'code'>;
    };

export type EvaluateAllResult =
  | { readonly ok: true; readonly evaluated: readonly Evaluated[] }
  | { readonly ok: false; readonly code: 'storage_unavailable' | 'snapshot_unavailable' };

type Unrecorded =
  | Exclude<Evaluated, { kind: 'access' }>
  | { readonly kind: 'access'; readonly decided: AccessDecision };

const isPermit = (one: Unrecorded): boolean => {
  if (one.kind === 'access') return one.decided.decision;
  return one.kind === 'sign_in' && one.result.record.decision;
};

const settles = (semantic: EvaluationsSemantic, one: Unrecorded): boolean => {
  if (semantic === 'deny_on_first_deny') return !isPermit(one);
  return semantic === 'permit_on_first_permit' && isPermit(one);
};

/** Rows are never looked up by what they hold, so any place will do: subjects spread them. */
function shardOf({ type, id }: AccessDecision['question']['subject'], shardCount: number): number {
  const digest = createHash('sha256').update(`${type}\n${id}`, 'utf8').digest();
  return shardOfBytes(digest, shardCount);
}

/**
 * Makes evaluations one after the other, in their order, and ends where the semantic says so: what comes after is not
 * looked at, and a challenge in it stays unspent. Each sign-in is recorded by itself; all access is recorded in one row
 * before anything is answered.
 */
export async function evaluateAll(
  context: EvaluateAllContext,
  client: RegisteredClient,
  evaluations: Iterable<ReadEvaluation>,
  semantic: EvaluationsSemantic,
  { snapshot, readAtMs }: ReadSnapshot,
): Promise<EvaluateAllResult> {
  const shown = new ShownTrust(context, snapshot);
  const evaluateOne = async (read: ReadEvaluation): Promise<Unrecorded> => {
    if (read.kind === 'malformed') {
      const { field, detail } = read;
      return { kind: 'failed', problem: { code: 'field_invalid', field, detail } };
    }
    if (read.kind === 'sign_in') {
      const result = await context.evaluateSignIn(read.request);
      return result.ok
        ? { kind: 'sign_in', result }
        : { kind: 'failed', problem: { code: result.code } };
    }
    const { subject, context: said } = read.request;
    const found = await shown.find(said?.decision_token, subject);
    // Not a device that is no trusted one, but nobody who could say: there may be rules for those, too.
    if (!found.ok) return { kind: 'failed', problem: { code: found.code } };
    return { kind: 'access', decided: decideAccess(snapshot, client, read.request, found.trust) };
  };

  const made: Unrecorded[] = [];
  for (const read of evaluations) {
    const one = await evaluateOne(read);
    made.push(one);
    if (settles(semantic, one)) break;
  }
  const access = made.flatMap((one) => (one.kind === 'access' ? [one.decided] : []));
  const [first] = access;
  if (first === undefined) {
    return { ok: true, evaluated: made.flatMap((one) => (one.kind === 'access' ? [] : [one])) };
  }
  const recorded = await context.recordAccess(shardOf(first.question.subject, context.shardCount), {
    clientId: client.client_id,
    organizationVersion: snapshot.version,
    readAtMs,
    evaluations: access.map(recordedOf),
  });
  if ('ok' in recorded) return { ok: false, code: 'storage_unavailable' };
  if (recorded.kind === 'needs_snapshot') return { ok: false, code: 'snapshot_unavailable' };
  const { decisionId } = recorded;
  return {
    ok: true,
    evaluated: made.map((one) => (one.kind === 'access' ? { ...one, decisionId } : one)),
  };
}
