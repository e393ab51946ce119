import { checkConditions } from './criteria/index.ts';
import type { PolicyFacts } from './facts.ts';
import {
  defaultRuleId,
  type Effect,
  type PolicyDocument,
  type PolicyRule,
} from './policy-document.ts';
import type { Zones } from './zones.ts';

/** The rule that decides; `undefined`: none, so the default does. */
export type Match = {
  readonly rule: PolicyRule | undefined;
  /** True where something that nobody said could have led to a laxer outcome. */
  readonly isUncertain: boolean;
};

/** How much each asks of people. */
export const strictness: Readonly<Record<Effect, number>> = { allow: 0, step_up: 1, deny: 2 };

export const effectOf = (policy: PolicyDocument, rule: PolicyRule | undefined): Effect =>
  rule?.effect ?? policy.otherwise;

export const idOf = (rule: PolicyRule | undefined): string => rule?.id ?? defaultRuleId;

type Allowing = Extract<PolicyRule, { effect: 'allow' | 'step_up' }>;
type Factor = Extract<PolicyRule, { effect: 'step_up' }>['factor'];

/** What meets both lists. An empty one asks for nothing; `undefined`: nothing could meet both. */
function both(one: readonly string[], other: readonly string[]): string[] | undefined {
  if (one.length === 0) return [...other];
  if (other.length === 0) return [...one];
  const common = one.filter((value) => other.includes(value));
  return common.length === 0 ? undefined : common;
}

function bothFactors(one: Factor, other: Factor): Factor | undefined {
  const acr_values = both(one.acr_values, other.acr_values);
  const amr_values = both(one.amr_values, other.amr_values);
  return acr_values === undefined || amr_values === undefined
    ? undefined
    : { acr_values, amr_values };
}

const secondsOf = (rule: Allowing | undefined) => rule?.reauthenticate_after_seconds;

/** Of two rules that both let somebody in: with what either of them asks for. */
function bothAllowing<Rule extends Allowing>(first: Rule, second: Allowing | undefined): Rule {
  const seconds = [secondsOf(first), secondsOf(second)].filter((each) => each !== undefined);
  return seconds.length === 0
    ? first
    : { ...first, reauthenticate_after_seconds: Math.min(...seconds) };
}

/**
 * The stricter of two: a denial before a factor, a factor before an allow. Of two that are alike in that, the first with
 * what the second asks for besides; where no factor meets both, nobody gets in.
 */
export function stricter(
  policy: PolicyDocument,
  first: PolicyRule | undefined,
  second: PolicyRule | undefined,
): PolicyRule | undefined {
  const difference = strictness[effectOf(policy, second)] - strictness[effectOf(policy, first)];
  if (difference !== 0) return difference > 0 ? second : first;
  if (first === undefined || first.effect === 'deny') {
    return first === undefined && effectOf(policy, first) === 'allow' ? second : first;
  }
  if (second === undefined || second.effect === 'deny') return first;
  if (first.effect === 'allow' || second.effect === 'allow') return bothAllowing(first, second);
  const factor = bothFactors(first.factor, second.factor);
  if (factor !== undefined) return bothAllowing({ ...first, factor }, second);
  const { id, when } = first;
  return { id, when, effect: 'deny' };
}

/** What a rule comes to: whether it matches is known, or it could match. */
export type Candidate = { readonly rule: PolicyRule; readonly verdict: 'met' | 'unknown' };

/**
 * The first rule that matches. A rule of which nobody can say whether it matches counts both ways, and the stricter
 * outcome stands: what is not said never lets anybody in who would not be let in if it were said.
 *
 * @param candidates rules of the policy in their order, without those that do not match
 */
export function firstOf(policy: PolicyDocument, candidates: Iterable<Candidate>): Match {
  let possible: PolicyRule | undefined;
  let isUncertain = false;
  const settle = (rule: PolicyRule | undefined): Match =>
    isUncertain ? { rule: stricter(policy, possible, rule), isUncertain } : { rule, isUncertain };
  for (const { rule, verdict } of candidates) {
    if (verdict === 'met') return settle(rule);
    possible = isUncertain ? stricter(policy, possible, rule) : rule;
    isUncertain = true;
  }
  return settle(undefined);
}

/** The plain way: rule after rule. Right by its shortness; what is faster is held against it. */
export function findMatch(policy: PolicyDocument, facts: PolicyFacts, zones: Zones): Match {
  function* candidates(): Generator<Candidate, void, undefined> {
    for (const rule of policy.rules) {
      if (rule.enabled === false) continue;
      const verdict = checkConditions(rule.when, facts, zones);
      if (verdict !== 'not_met') yield { rule, verdict };
    }
  }
  return firstOf(policy, candidates());
}
