import { describe, expect, it } from 'vitest';
import { findMatch } from './evaluate.ts';
import { policyDocument } from './policy-document.ts';
import { goodFacts } from './testing/facts.ts';

const factor = (acr_values: string[], amr_values: string[] = []) => ({ acr_values, amr_values });
const onNetwork = { network: { location: 'on_network' } };
const stepUp = (id: string, when: object, wanted: object, more: object = {}) => ({
  id,
  when,
  effect: 'step_up',
  factor: wanted,
  ...more,
});

/** What comes of a sign-in of which nobody has told the address. */
function ruleWithoutAddress(...rules: object[]) {
  const policy = policyDocument.parse({
    version: 1,
    enforcement: 'enforce',
    otherwise: 'deny',
    rules,
  });
  const { rule, isUncertain } = findMatch(policy, { ...goodFacts, ipAddress: undefined }, []);
  expect(isUncertain).toBe(true);
  return rule;
}

describe('two rules of which nobody can say which one decides', () => {
  it('want a factor that meets both', () => {
    const office = stepUp('office', onNetwork, factor(['pwd', 'phr']));
    const rest = stepUp('rest', {}, factor(['phr', 'phrh']));
    expect(ruleWithoutAddress(office, rest)).toMatchObject({
      id: 'office',
      effect: 'step_up',
      factor: factor(['phr']),
    });
    const hardware = stepUp('rest', {}, factor([], ['hwk']));
    expect(ruleWithoutAddress(office, hardware)).toMatchObject({
      factor: factor(['pwd', 'phr'], ['hwk']),
    });
  });

  it('let nobody in where no factor meets both', () => {
    const office = stepUp('office', onNetwork, factor(['pwd']));
    const rest = stepUp('rest', {}, factor(['phrh']));
    expect(ruleWithoutAddress(office, rest)).toMatchObject({ id: 'office', effect: 'deny' });
  });

  it('ask anew as early as either of them', () => {
    const allow = (id: string, when: object, more: object = {}) => ({
      id,
      when,
      effect: 'allow',
      ...more,
    });
    const early = { reauthenticate_after_seconds: 60 };
    const late = { reauthenticate_after_seconds: 3600 };
    const seconds = (...rules: object[]) => {
      const rule = ruleWithoutAddress(...rules);
      return rule?.effect === 'allow' ? rule.reauthenticate_after_seconds : 'another effect';
    };
    expect(seconds(allow('a', onNetwork), allow('b', {}, early))).toBe(60);
    expect(seconds(allow('a', onNetwork, late), allow('b', {}, early))).toBe(60);
    expect(seconds(allow('a', onNetwork, early), allow('b', {}))).toBe(60);
    expect(seconds(allow('a', onNetwork), allow('b', {}))).toBeUndefined();
  });

  it('deny where either denies, and want a factor where either wants one', () => {
    const deny = { id: 'deny', when: {}, effect: 'deny' };
    const office = { id: 'office', when: onNetwork, effect: 'allow' };
    expect(ruleWithoutAddress(office, deny)).toMatchObject({ id: 'deny' });
    expect(ruleWithoutAddress({ ...deny, when: onNetwork }, { ...office, when: {} })).toMatchObject(
      { id: 'deny' },
    );
    const rest = stepUp('rest', {}, factor(['phr']));
    expect(ruleWithoutAddress(office, rest)).toMatchObject({ id: 'rest' });
  });
});

describe('a policy', () => {
  const rule = { id: 'a', when: {}, effect: 'allow' };
  it.each([
    [{ ...rule, id: 'default' }],
    [{ ...rule, id: 'none' }],
    [{ ...rule, id: 'Office' }],
    [{ ...rule, when: { posture: { minimum_os_version: {} } } }],
    [{ ...rule, when: { posture: { minimum_os_version: { amiga: '1' } } } }],
    [{ ...rule, effect: 'deny', reauthenticate_after_seconds: 60 }],
  ])('is none with %j', (wrong) => {
    const policy = { version: 1, enforcement: 'enforce', otherwise: 'deny', rules: [wrong] };
    expect(policyDocument.safeParse(policy).success).toBe(false);
  });
});
