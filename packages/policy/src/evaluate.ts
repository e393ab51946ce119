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

const strictness: Readonly<Record<Effect, number>> = { allow: 0, step_up: 1, deny: 2 };

export const effectOf = (policy: PolicyDocument, rule: PolicyRule | undefined): Effect =>
  rule?.effect ?? policy.otherwise;

export const idOf = (rule: PolicyRule | undefined): string => rule?.id ?? defaultRuleId;

/** Whichever of two is stricter; of two that are alike, the first. */
export const stricter = (
  policy: PolicyDocument,
  first: PolicyRule | undefined,
  second: PolicyRule | undefined,
) => (strictness[effectOf(policy, second)] > strictness[effectOf(policy, first)] ? second : first);

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
