import type { ConditionName, Effect, PolicyDocument, PolicyRule } from '@countersign/policy';

/** Conditions that only a device with evidence meets, trusted or not. */
const ofDevices: readonly ConditionName[] = [
  'channels',
  'key_protections',
  'enrollment_strengths',
  'certificate_age',
  'posture',
];

const isEnabled = ({ enabled }: PolicyRule) => enabled !== false;
const speaksOf = ({ when }: PolicyRule, names: readonly ConditionName[]) =>
  names.some((name) => when[name] !== undefined);
const speaksOfTrustAlone = ({ when }: PolicyRule) =>
  Object.keys(when).every((name) => name === 'device_trust');

/** What a policy makes of one sort of device, by the rules that speak of nothing else. */
function effectFor(policy: PolicyDocument, trust: 'trusted' | 'not_trusted'): Effect {
  const rule = policy.rules.find(
    (each) =>
      isEnabled(each) &&
      speaksOfTrustAlone(each) &&
      (each.when.device_trust === undefined || each.when.device_trust === trust),
  );
  return rule?.effect ?? policy.otherwise;
}

/**
 * What would become of people whose devices were trusted no longer; `undefined` where that changes nothing for them,
 * or is recorded only. Of rules that let some people in, somewhere or at some time, because of their devices, the worst
 * is said: others would be denied.
 */
export function lossWithoutTrust(policy: PolicyDocument): Effect | undefined {
  if (policy.enforcement === 'monitor') return undefined;
  const isMixed = policy.rules.some(
    (rule) =>
      isEnabled(rule) &&
      !speaksOfTrustAlone(rule) &&
      speaksOf(rule, ['device_trust', ...ofDevices]),
  );
  if (isMixed) return 'deny';
  const trusted = effectFor(policy, 'trusted');
  const other = effectFor(policy, 'not_trusted');
  return trusted === other || other === 'allow' ? undefined : other;
}
