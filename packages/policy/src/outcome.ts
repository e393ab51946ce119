import type { AllowCode, DecisionReason } from '@countersign/protocol';
import type { Factor } from '@countersign/protocol/schemas';
import { effectOf, idOf, type Match } from './evaluate.ts';
import type { PolicyFacts } from './facts.ts';
import type { PolicyDocument } from './policy-document.ts';

/** What a pending sign-in waits for. */
export type Demand = {
  /** `undefined` when only the primary authentication is missing. */
  readonly factor: Factor | undefined;
  readonly subjectAuthenticated: boolean;
};

type Allowed = {
  /** The sign-in server is to ask the person anew after so long; `undefined`: as it does anyway. */
  readonly reauthenticateAfterSeconds?: number;
};

/** What the policy says, with the rule that said it. */
export type PolicyOutcome =
  | ({ readonly effect: 'allow'; readonly reason: AllowCode; readonly rule: string } & Allowed)
  | { readonly effect: 'deny'; readonly reason: DecisionReason; readonly rule: string }
  | ({
      readonly effect: 'step_up';
      readonly reason: 'step_up_required' | 'authentication_required';
      readonly rule: string;
      readonly demand: Demand;
    } & Allowed);

/** Finds the rule that decides, in whatever way. */
export type FindMatch = (facts: PolicyFacts) => Match;

function applyMatch(policy: PolicyDocument, { rule }: Match, facts: PolicyFacts): PolicyOutcome {
  const trust = facts.deviceTrust;
  const ruleId = idOf(rule);
  const effect = effectOf(policy, rule);
  if (effect === 'allow') {
    const reason = trust.trusted ? 'trusted_device' : 'policy_allowed';
    return { effect, reason, rule: ruleId, ...allowedBy(rule) };
  }
  // Whoever only watches keeps nobody out, and asks nobody for more than before: also not those whose device is in order.
  if (policy.enforcement === 'monitor') {
    return { effect: 'allow', reason: 'monitor_only', rule: ruleId };
  }
  if (rule?.effect === 'step_up') {
    const demand = { factor: rule.factor, subjectAuthenticated: false };
    const reason = 'step_up_required';
    return { effect: 'step_up', reason, rule: ruleId, demand, ...allowedBy(rule) };
  }
  const reason = trust.trusted ? 'policy_denied' : trust.reason;
  return { effect: 'deny', reason, rule: ruleId };
}

function allowedBy(rule: Match['rule']): Allowed {
  if (rule === undefined || rule.effect === 'deny') return {};
  const { reauthenticate_after_seconds: seconds } = rule;
  return seconds === undefined ? {} : { reauthenticateAfterSeconds: seconds };
}

/** The allow that a demand which was met becomes. */
export const completedOutcome = (
  waiting: Extract<PolicyOutcome, { readonly effect: 'step_up' }>,
): Extract<PolicyOutcome, { readonly effect: 'allow' }> => {
  const { rule, reauthenticateAfterSeconds: seconds } = waiting;
  const allowed = { effect: 'allow', reason: 'step_up_completed', rule } as const;
  return seconds === undefined ? allowed : { ...allowed, reauthenticateAfterSeconds: seconds };
};

/**
 * First matching rule, then the default. Pure and total: every input has an outcome, and nothing it does not know
 * allows anything.
 *
 * A device of which nothing but the user's primary authentication is missing is not an untrusted one yet: where the
 * policy lets it in as a trusted one and not as it is, the sign-in waits for that authentication.
 */
export function evaluatePolicy(
  policy: PolicyDocument,
  findMatch: FindMatch,
  facts: PolicyFacts,
): PolicyOutcome {
  const trust = facts.deviceTrust;
  const asItIs = applyMatch(policy, findMatch(facts), facts);
  if (trust.trusted || trust.reason !== 'subject_not_authenticated') return asItIs;
  if (asItIs.effect === 'allow') return asItIs;
  const authenticated = { ...facts, deviceTrust: { trusted: true } } as const;
  const onceAuthenticated = applyMatch(policy, findMatch(authenticated), authenticated);
  if (onceAuthenticated.effect === 'deny') return asItIs;
  return {
    effect: 'step_up',
    reason: 'authentication_required',
    rule: onceAuthenticated.rule,
    demand: {
      factor: onceAuthenticated.effect === 'step_up' ? onceAuthenticated.demand.factor : undefined,
      subjectAuthenticated: true,
    },
  };
}

/** How the sign-in server says that the subject was authenticated. */
export type AssertedFactor = {
  readonly acr: string | undefined;
  readonly amr: readonly string[];
};

/** Does what is asserted meet the factor? One of each list that is not empty; a factor that demands nothing is met by nothing. */
export function meetsFactor(factor: Factor, asserted: AssertedFactor): boolean {
  const { acr_values, amr_values } = factor;
  if (acr_values.length + amr_values.length === 0) return false;
  const acrMet =
    acr_values.length === 0 || (asserted.acr !== undefined && acr_values.includes(asserted.acr));
  const amrMet =
    amr_values.length === 0 || asserted.amr.some((method) => amr_values.includes(method));
  return acrMet && amrMet;
}

export function meetsDemand(
  demand: Demand,
  subjectAuthenticated: boolean,
  asserted: AssertedFactor,
): boolean {
  if (demand.subjectAuthenticated && !subjectAuthenticated) return false;
  return demand.factor === undefined || meetsFactor(demand.factor, asserted);
}
