import type { DecisionReason } from '@countersign/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { findMatch } from './evaluate.ts';
import type { DeviceTrust } from './facts.ts';
import * as outcome from './outcome.ts';
import { type PolicyDocument, policyDocument } from './policy-document.ts';
import { goodFacts } from './testing/facts.ts';

const evaluatePolicy = (policy: PolicyDocument, deviceTrust: DeviceTrust) =>
  outcome.evaluatePolicy(policy, (facts) => findMatch(policy, facts, []), {
    ...goodFacts,
    deviceTrust,
  });

/** Trusted devices may sign in, all others may not. */
const trustedDevicesOnly = (
  version: number,
  enforcement: PolicyDocument['enforcement'],
): PolicyDocument => ({
  version,
  enforcement,
  rules: [{ id: 'trusted-devices', when: { device_trust: 'trusted' }, effect: 'allow' }],
  otherwise: 'deny',
});

const seed = 20_261_121;
const trusted: DeviceTrust = { trusted: true };
const untrusted = (reason: DecisionReason): DeviceTrust => ({ trusted: false, reason });

describe('evaluatePolicy with trusted devices only', () => {
  it.each(['enforce', 'monitor'] as const)('allows a trusted device under %s', (enforcement) => {
    expect(evaluatePolicy(trustedDevicesOnly(7, enforcement), trusted)).toEqual({
      effect: 'allow',
      reason: 'trusted_device',
      rule: 'trusted-devices',
    });
  });

  it('denies every other with the reason why it is not trusted', () => {
    for (const reason of ['evidence_missing', 'certificate_revoked', 'subject_inactive'] as const) {
      expect(evaluatePolicy(trustedDevicesOnly(7, 'enforce'), untrusted(reason))).toEqual({
        effect: 'deny',
        reason,
        rule: 'default',
      });
    }
  });

  it('allows every other under monitor, and says that it only monitors', () => {
    expect(evaluatePolicy(trustedDevicesOnly(7, 'monitor'), untrusted('evidence_missing'))).toEqual(
      {
        effect: 'allow',
        reason: 'monitor_only',
        rule: 'default',
      },
    );
  });
});

describe('evaluatePolicy', () => {
  const document = (change: Partial<PolicyDocument>): PolicyDocument => ({
    version: 1,
    enforcement: 'enforce',
    rules: [],
    otherwise: 'deny',
    ...change,
  });
  const allowAll = { id: 'all', when: {}, effect: 'allow' } as const;
  const denyAll = { id: 'none', when: {}, effect: 'deny' } as const;
  const allowUntrusted = {
    id: 'untrusted',
    when: { device_trust: 'not_trusted' },
    effect: 'allow',
  } as const;
  const missing = untrusted('evidence_missing');

  it.each<[string, PolicyDocument, DeviceTrust, ReturnType<typeof evaluatePolicy>]>([
    [
      'no rule and a default that denies',
      document({}),
      trusted,
      { effect: 'deny', reason: 'policy_denied', rule: 'default' },
    ],
    [
      'no rule and a default that allows',
      document({ otherwise: 'allow' }),
      missing,
      { effect: 'allow', reason: 'policy_allowed', rule: 'default' },
    ],
    [
      'the first of two rules that match',
      document({ rules: [denyAll, allowAll] }),
      trusted,
      { effect: 'deny', reason: 'policy_denied', rule: 'none' },
    ],
    [
      'the second rule where the first does not match',
      document({ rules: [allowUntrusted, denyAll] }),
      trusted,
      { effect: 'deny', reason: 'policy_denied', rule: 'none' },
    ],
    [
      'a rule that allows what is not trusted',
      document({ rules: [allowUntrusted] }),
      missing,
      { effect: 'allow', reason: 'policy_allowed', rule: 'untrusted' },
    ],
    [
      'a rule that denies what is not trusted, monitored',
      document({ rules: [denyAll], enforcement: 'monitor' }),
      missing,
      { effect: 'allow', reason: 'monitor_only', rule: 'none' },
    ],
    [
      'a rule that denies a trusted device, monitored',
      document({ rules: [denyAll], enforcement: 'monitor' }),
      trusted,
      { effect: 'allow', reason: 'monitor_only', rule: 'none' },
    ],
    [
      'a rule that asks a trusted device for a factor, monitored',
      document({
        rules: [
          {
            id: 'factor',
            when: {},
            effect: 'step_up',
            factor: { acr_values: ['phr'], amr_values: [] },
          },
        ],
        enforcement: 'monitor',
      }),
      trusted,
      { effect: 'allow', reason: 'monitor_only', rule: 'factor' },
    ],
  ])('obeys %s', (_what, policy, trust, outcome) => {
    expect(evaluatePolicy(policy, trust)).toEqual(outcome);
  });

  const known = fc.record({
    version: fc.nat(),
    enforcement: fc.constantFrom('enforce' as const, 'monitor' as const),
    rules: fc.array(
      fc.record({
        id: fc.string({ maxLength: 4 }),
        when: fc.record(
          { device_trust: fc.constantFrom('trusted' as const, 'not_trusted' as const) },
          { requiredKeys: [] },
        ),
        effect: fc.constantFrom('allow' as const, 'deny' as const),
      }),
      { maxLength: 4 },
    ),
    otherwise: fc.constantFrom('allow' as const, 'deny' as const),
  });
  const trust = fc.constantFrom<DeviceTrust>(
    trusted,
    untrusted('evidence_missing'),
    untrusted('certificate_bound_to_other_user'),
  );

  it('has an outcome for every input, and calls a device trusted only when it is', () => {
    fc.assert(
      fc.property(known, trust, (policy, given) => {
        const found = evaluatePolicy(policy, given);
        if (given.trusted) {
          expect(['trusted_device', 'policy_denied', 'monitor_only']).toContain(found.reason);
        } else {
          expect(found.reason).not.toBe('trusted_device');
          if (found.effect === 'deny') expect(found.reason).toBe(given.reason);
        }
        if (found.reason === 'monitor_only') expect(policy.enforcement).toBe('monitor');
      }),
      { seed },
    );
  });

  it('keeps nobody out under monitor, and changes nothing else', () => {
    fc.assert(
      fc.property(known, trust, (policy, given) => {
        const enforced = evaluatePolicy({ ...policy, enforcement: 'enforce' }, given);
        const monitored = evaluatePolicy({ ...policy, enforcement: 'monitor' }, given);
        const { rule } = enforced;
        const only = { effect: 'allow', reason: 'monitor_only', rule };
        expect(monitored).toEqual(enforced.effect === 'allow' ? enforced : only);
      }),
      { seed },
    );
  });

  it('never allows by a word that it does not know', () => {
    const word = fc.oneof(fc.string(), fc.constantFrom('Allow', 'ALLOW', 'trusted ', '', 'any'));
    fc.assert(
      fc.property(word, word, word, trust, (effect, condition, enforcement, given) => {
        fc.pre(!['allow', 'deny'].includes(effect) && enforcement !== 'monitor');
        fc.pre(!['trusted', 'not_trusted'].includes(condition));
        // Past the schema, as a damaged row or a newer version's document would be.
        const damaged: PolicyDocument = Object.assign(document({}), {
          enforcement,
          otherwise: effect,
          rules: [
            { id: 'unknown effect', when: {}, effect },
            { id: 'unknown condition', when: { device_trust: condition }, effect: 'allow' },
          ],
        });
        expect(evaluatePolicy(damaged, given).effect).toBe('deny');
        const onlyCondition = { ...damaged, rules: damaged.rules.slice(1) };
        expect(evaluatePolicy(onlyCondition, given).effect).toBe('deny');
      }),
      { seed },
    );
  });
});

describe('policyDocument', () => {
  const good = trustedDevicesOnly(1, 'enforce');

  it('reads what the broker writes', () => {
    expect(policyDocument.parse(JSON.parse(JSON.stringify(good)))).toEqual(good);
  });

  it.each<[string, object]>([
    ['an unknown member', { ...good, except: [] }],
    ['an unknown effect', { ...good, otherwise: 'permit' }],
    ['an unknown enforcement', { ...good, enforcement: 'off' }],
    ['an unknown condition', { ...good, rules: [{ ...good.rules[0], when: { zone: 'lan' } }] }],
    [
      'an unknown value of a condition',
      { ...good, rules: [{ ...good.rules[0], when: { device_trust: 'maybe' } }] },
    ],
    ['an unknown member of a rule', { ...good, rules: [{ ...good.rules[0], unless: {} }] }],
    ['a missing default', { version: 1, enforcement: 'enforce', rules: [] }],
  ])('refuses %s', (_what, document) => {
    expect(z.safeParse(policyDocument, document).success).toBe(false);
  });
});
