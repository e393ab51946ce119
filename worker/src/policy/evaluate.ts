import type { AllowCode, DecisionReason } from '@countersign/protocol';
import type { DeviceTrust } from './device-trust.ts';
import type { PolicyDocument, PolicyRule } from './policy-document.ts';

/** What the policy says, with the rule that said it. */
export type PolicyOutcome =
  | { readonly decision: true; readonly reason: AllowCode; readonly rule: string }
  | { readonly decision: false; readonly reason: DecisionReason; readonly rule: string };

function matches(rule: PolicyRule, trust: DeviceTrust): boolean {
  const wanted = rule.when.device_trust;
  return wanted === undefined || wanted === (trust.trusted ? 'trusted' : 'not_trusted');
}

/**
 * First matching rule, then the default. Pure and total: every input has an outcome, and nothing it does not know
 * allows anything.
 */
export function evaluatePolicy(policy: PolicyDocument, trust: DeviceTrust): PolicyOutcome {
  const rule = policy.rules.find((candidate) => matches(candidate, trust));
  const ruleId = rule?.id ?? 'default';
  const effect = rule?.effect ?? policy.otherwise;
  if (effect === 'allow') {
    return {
      decision: true,
      reason: trust.trusted ? 'trusted_device' : 'policy_allowed',
      rule: ruleId,
    };
  }
  if (!trust.trusted && policy.enforcement === 'monitor') {
    return { decision: true, reason: 'monitor_only', rule: ruleId };
  }
  return { decision: false, reason: trust.trusted ? 'policy_denied' : trust.reason, rule: ruleId };
}
