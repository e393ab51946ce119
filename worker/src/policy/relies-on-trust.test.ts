import { expect, it } from 'vitest';
import { lossWithoutTrust } from './relies-on-trust.ts';
import { policyOfChoices } from './simple-policy.ts';

const factor = { acr_values: ['phr'], amr_values: [] };
const choices = {
  enforcement: 'enforce',
  trusted_devices: 'allow',
  other_devices: 'deny',
} as const;

it.each([
  [choices, 'deny'],
  [{ ...choices, other_devices: 'step_up' }, 'step_up'],
  [{ ...choices, trusted_devices: 'step_up' }, 'deny'],
  [{ ...choices, trusted_devices: 'step_up', other_devices: 'step_up' }, undefined],
  [{ ...choices, enforcement: 'monitor' }, undefined],
] as const)('%j loses %s', (given, loss) => {
  expect(lossWithoutTrust(policyOfChoices(1, { ...given, factor }))).toBe(loss);
});

it('a rule that speaks of no device holds for both', () => {
  const policy = { ...policyOfChoices(1, { ...choices, factor }), rules: [] };
  expect(lossWithoutTrust({ ...policy, otherwise: 'deny' })).toBeUndefined();
  const rule = { id: 'all', when: {}, effect: 'allow' } as const;
  expect(lossWithoutTrust({ ...policy, rules: [rule] })).toBeUndefined();
});

it.each([
  [{ device_trust: 'trusted', platforms: ['macos'] }, 'deny'],
  [{ key_protections: ['hardware'] }, 'deny'],
  [{ posture: { minimum_os_version: { macos: '14' }, reported_by: 'any' } }, 'deny'],
  [{ platforms: ['macos'] }, undefined],
] as const)('a rule for some, when %j, loses %s', (when, loss) => {
  const policy = policyOfChoices(1, { ...choices, factor });
  const rules = [{ id: 'some', when: JSON.parse(JSON.stringify(when)), effect: 'allow' } as const];
  expect(lossWithoutTrust({ ...policy, rules })).toBe(loss);
  const disabled = [{ ...rules[0], id: 'off', enabled: false }];
  expect(lossWithoutTrust({ ...policy, rules: disabled as typeof rules })).toBeUndefined();
  expect(lossWithoutTrust({ ...policy, rules, enforcement: 'monitor' })).toBeUndefined();
});
