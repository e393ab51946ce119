import { describe, expect, it } from 'vitest';
import { findMatch, idOf } from './evaluate.ts';
import {
  effectivePolicy,
  followsGlobal,
  globalRuleId,
  isGlobalRuleId,
  leavesToGlobal,
} from './global-policy.ts';
import { type ApplicationPolicy, applicationPolicy, policyDocument } from './policy-document.ts';
import { goodFacts } from './testing/facts.ts';

const global = policyDocument.parse({
  version: 7,
  enforcement: 'monitor',
  enrollment_strengths: ['hardware_attested'],
  rules: [{ id: 'macs', when: { platforms: ['macos'] }, effect: 'allow' }],
  otherwise: 'allow',
});

const own = (change: Partial<ApplicationPolicy>): ApplicationPolicy =>
  applicationPolicy.parse({
    version: 5,
    enforcement: 'enforce',
    rules: [{ id: 'macs', when: { platforms: ['macos'] }, effect: 'deny' }],
    otherwise: 'deny',
    ...change,
  });

describe('effectivePolicy', () => {
  it('is the own one, where nothing is left to the global one', () => {
    expect(leavesToGlobal(own({}))).toBe(false);
    expect(effectivePolicy(own({}), global)).toEqual(own({}));
  });

  it('has the global rules after the own ones, under names that no own rule can have', () => {
    const effective = effectivePolicy(own({ otherwise: 'global' }), global);
    expect(effective).toMatchObject({ version: 7, enforcement: 'enforce', otherwise: 'allow' });
    expect(effective.rules.map(({ id }) => id)).toEqual(['macs', globalRuleId('macs')]);
    expect(effective.enrollment_strengths).toEqual(['hardware_attested']);
    expect(() => own({ rules: [{ id: globalRuleId('macs'), when: {}, effect: 'deny' }] })).toThrow(
      'must be 1 to 63',
    );
    expect(isGlobalRuleId(globalRuleId('macs'))).toBe(true);
    expect(isGlobalRuleId('macs')).toBe(false);
  });

  it('takes the enforcement alone, where the outcome is its own', () => {
    expect(effectivePolicy(own({ enforcement: 'global' }), global)).toEqual({
      ...own({}),
      version: 7,
      enforcement: 'monitor',
    });
  });

  it('keeps the enrollments that the application names itself', () => {
    const strict = own({ otherwise: 'global', enrollment_strengths: ['one_time_token'] });
    expect(effectivePolicy(strict, global).enrollment_strengths).toEqual(['one_time_token']);
  });

  it('has the version of whichever of the two is newer', () => {
    const newer = own({ version: 9, otherwise: 'global' });
    expect(effectivePolicy(newer, global).version).toBe(9);
  });

  it('decides by an own rule before a global one, and by the global one where no own one matches', () => {
    const decide = (policy: ApplicationPolicy, platform: 'macos' | 'windows') => {
      const effective = effectivePolicy(policy, global);
      const facts = { ...goodFacts, platform };
      return idOf(findMatch(effective, facts, []).rule);
    };
    const exception = own({ otherwise: 'global' });
    expect(decide(exception, 'macos')).toBe('macs');
    expect(decide(exception, 'windows')).toBe('default');
    expect(decide(own({ ...followsGlobal, rules: [] }), 'macos')).toBe(globalRuleId('macs'));
  });
});

it.each(['enforcement', 'otherwise'])('the global policy leaves its %s to nobody', (member) => {
  expect(policyDocument.safeParse({ ...global, [member]: 'global' }).success).toBe(false);
});
