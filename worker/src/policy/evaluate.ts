import type { AllowCode, DecisionReason } from '@countersign/protocol';
import type { Factor } from '@countersign/protocol/schemas';
import type { DeviceTrust } from './device-trust.ts';
import type { PolicyDocument, PolicyRule } from './policy-document.ts';

/** What a pending sign-in waits for. */
export type Demand = {
  /** `undefined` when only the primary authentication is missing. */
  readonly factor: Factor | undefined;
  readonly subjectAuthenticated: boolean;
};

/** What the policy says, with the rule that said it. */
export type PolicyOutcome =
  | { readonly effect: 'allow'; readonly reason: AllowCode; readonly rule: string }
  | { readonly effect: 'deny'; readonly reason: DecisionReason; readonly rule: string }
  | {
      readonly effect: 'step_up';
      readonly reason: 'step_up_required' | 'authentication_required';
      readonly rule: string;
      readonly demand: Demand;
    };

function matches(rule: PolicyRule, trust: DeviceTrust): boolean {
  const wanted = rule.when.device_trust;
  return wanted === undefined || wanted === (trust.trusted ? 'trusted' : 'not_trusted');
}

function applyFirstMatch(policy: PolicyDocument, trust: DeviceTrust): PolicyOutcome {
  const rule = policy.rules.find((candidate) => matches(candidate, trust));
  const ruleId = rule?.id ?? 'default';
  const effect = rule?.effect ?? policy.otherwise;
  if (effect === 'allow') {
    const reason = trust.trusted ? 'trusted_device' : 'policy_allowed';
    return { effect, reason, rule: ruleId };
  }
  // Whoever only watches asks nobody for more than before.
  if (!trust.trusted && policy.enforcement === 'monitor') {
    return { effect: 'allow', reason: 'monitor_only', rule: ruleId };
  }
  if (rule?.effect === 'step_up') {
    const demand = { factor: rule.factor, subjectAuthenticated: false };
    return { effect: 'step_up', reason: 'step_up_required', rule: ruleId, demand };
  }
  const reason = trust.trusted ? 'policy_denied' : trust.reason;
  return { effect: 'deny', reason, rule: ruleId };
}

/**
 * First matching rule, then the default. Pure and total: every input has an outcome, and nothing it does not know
 * allows anything.
 *
 * A device of which nothing but the user's primary authentication is missing is not an untrusted one yet: where the
 * policy lets it in as a trusted one and not as it is, the sign-in waits for that authentication.
 */
export function evaluatePolicy(policy: PolicyDocument, trust: DeviceTrust): PolicyOutcome {
  const asItIs = applyFirstMatch(policy, trust);
  if (trust.trusted || trust.reason !== 'subject_not_authenticated') return asItIs;
  if (asItIs.effect === 'allow') return asItIs;
  const onceAuthenticated = applyFirstMatch(policy, { trusted: true });
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
