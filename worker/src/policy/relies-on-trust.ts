import type { PolicyDocument, PolicyRule } from './policy-document.ts';

export type Effect = PolicyRule['effect'];

/** What a policy makes of one sort of device, by the rules that speak of nothing else. */
function effectFor(policy: PolicyDocument, trust: 'trusted' | 'not_trusted'): Effect {
  const rule = policy.rules.find(
    ({ when }) => when.device_trust === undefined || when.device_trust === trust,
  );
  return rule?.effect ?? policy.otherwise;
}

/**
 * What would become of people whose devices were trusted no longer; `undefined` where that changes nothing for them,
 * or is recorded only.
 */
export function lossWithoutTrust(policy: PolicyDocument): Effect | undefined {
  if (policy.enforcement === 'monitor') return undefined;
  const trusted = effectFor(policy, 'trusted');
  const other = effectFor(policy, 'not_trusted');
  return trusted === other || other === 'allow' ? undefined : other;
}
