import type { DecisionRecord } from '@countersign/protocol/decision-record';
import type { Factor } from '@countersign/protocol/schemas';
import { type CheckedCriterion, explainConditions } from './criteria/index.ts';
import { findMatch } from './evaluate.ts';
import type { PolicyFacts } from './facts.ts';
import { completedOutcome, evaluatePolicy, meetsDemand, type PolicyOutcome } from './outcome.ts';
import { noRuleId, type PolicyDocument } from './policy-document.ts';
import { recordedFacts } from './recorded-facts.ts';
import { type TracedRule, traceRules } from './trace-rules.ts';
import type { Zones } from './zones.ts';

/** A decision that was recorded, computed once more from what is on record of it. */

/** Structural denials, refusals and what nobody's challenge opened: no policy was asked. */
export const wasDecidedByPolicy = ({ opened, rule }: Pick<DecisionRecord, 'opened' | 'rule'>) =>
  opened && rule !== noRuleId;

/** What of a record follows from policy and facts. */
export type ReplayedOutcome = {
  readonly decision: boolean;
  readonly reason: string;
  readonly rule: string;
  readonly reauthenticate_after_seconds: number | undefined;
  /** Of a sign-in that waits. */
  readonly pending:
    | { readonly factor: Factor | undefined; readonly subject_authenticated: boolean }
    | undefined;
};

export type Replay =
  | { readonly kind: 'not_asked' }
  | { readonly kind: 'same'; readonly computed: ReplayedOutcome }
  | {
      readonly kind: 'different';
      /** Names of the members that are. */
      readonly members: ReadonlyArray<keyof ReplayedOutcome>;
      readonly computed: ReplayedOutcome;
    };

function shownOutcome(outcome: PolicyOutcome): ReplayedOutcome {
  const { effect, reason, rule } = outcome;
  return {
    decision: effect === 'allow',
    reason,
    rule,
    reauthenticate_after_seconds:
      'reauthenticateAfterSeconds' in outcome ? outcome.reauthenticateAfterSeconds : undefined,
    pending:
      effect === 'step_up'
        ? {
            factor: outcome.demand.factor,
            subject_authenticated: outcome.demand.subjectAuthenticated,
          }
        : undefined,
  };
}

/** As a completion is judged: what was asserted stands in place of what the policy asks for. */
function completed(outcome: PolicyOutcome, record: DecisionRecord): PolicyOutcome {
  const { asserted, subject_authenticated } = record;
  if (outcome.effect !== 'step_up' || asserted === undefined) return outcome;
  const { acr, amr } = asserted;
  return meetsDemand(outcome.demand, subject_authenticated, { acr, amr })
    ? completedOutcome(outcome)
    : { effect: 'deny', reason: 'step_up_insufficient', rule: noRuleId };
}

function recordedOutcome(record: DecisionRecord): ReplayedOutcome {
  const { decision, reason, rule, pending, reauthenticate_after_seconds } = record;
  return {
    decision,
    reason,
    rule,
    reauthenticate_after_seconds,
    pending:
      pending === undefined
        ? undefined
        : { factor: pending.factor, subject_authenticated: pending.subject_authenticated },
  };
}

/** The one text of a value in which absent members do not show. */
const textOf = (value: unknown) => JSON.stringify(value) ?? '';

/**
 * Asks the policy about the recorded facts again, rule after rule.
 *
 * @param policy the version that the record names
 * @param zones as they were for the version of the organization that the record names
 */
export function replayDecision(
  record: DecisionRecord,
  policy: PolicyDocument,
  zones: Zones,
): Replay {
  if (!wasDecidedByPolicy(record)) return { kind: 'not_asked' };
  const facts = recordedFacts(record);
  const outcome = evaluatePolicy(policy, (asked) => findMatch(policy, asked, zones), facts);
  const computed = shownOutcome(completed(outcome, record));
  const recorded = recordedOutcome(record);
  const names = ['decision', 'reason', 'rule', 'reauthenticate_after_seconds', 'pending'] as const;
  const members = names.filter((name) => textOf(computed[name]) !== textOf(recorded[name]));
  return members.length === 0
    ? { kind: 'same', computed }
    : { kind: 'different', members, computed };
}

/** What the policy was asked about. What waits for the authentication is judged as if that had come. */
function askedFacts(record: DecisionRecord): PolicyFacts {
  const facts = recordedFacts(record);
  const isAwaited = record.reason === 'authentication_required';
  return isAwaited ? { ...facts, deviceTrust: { trusted: true } } : facts;
}

/** What the rule that decided asked for, and what it saw; `undefined` where no rule of this policy did. */
export function explainRecord(
  record: DecisionRecord,
  policy: PolicyDocument,
  zones: Zones,
): CheckedCriterion[] | undefined {
  const rule = policy.rules.find(({ id }) => id === record.rule);
  return rule && explainConditions(rule.when, askedFacts(record), zones);
}

/** The rules that were looked at, also those that did not match: of a denial by the default there is nothing else to tell. */
export const traceRecord = (
  record: DecisionRecord,
  policy: PolicyDocument,
  zones: Zones,
): TracedRule[] => traceRules(policy, askedFacts(record), zones);

/** The networks that the policy's outcome can depend on: those that it names, and all of the network where it asks for that. */
export function zonesOf({ rules }: PolicyDocument, zones: Zones): Zones {
  const networks = rules.flatMap(({ when }) => when.network ?? []);
  const named = new Set(
    networks.flatMap(({ zones: wanted = [], except_zones = [] }) => [...wanted, ...except_zones]),
  );
  const asksForNetwork = networks.some(({ location }) => location !== undefined);
  return zones.filter(
    ({ zone_id, on_network }) => named.has(zone_id) || (asksForNetwork && on_network),
  );
}
