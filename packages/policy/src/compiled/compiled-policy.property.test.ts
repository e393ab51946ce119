import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { effectOf, findMatch, idOf } from '../evaluate.ts';
import type { PolicyFacts, PostureFacts } from '../facts.ts';
import { type PolicyDocument, policyDocument } from '../policy-document.ts';
import { arbitraryFacts, arbitraryPolicy, strip, zones } from '../testing/arbitrary-policy.ts';
import { CompiledPolicy } from './compiled-policy.ts';

const seed = 20_261_122;
const strictness = { allow: 0, step_up: 1, deny: 2 } as const;

const outcomeOf = (policy: PolicyDocument, facts: PolicyFacts) => {
  const { rule } = findMatch(policy, facts, zones);
  const seconds =
    rule === undefined || rule.effect === 'deny' ? undefined : rule.reauthenticate_after_seconds;
  return {
    effect: effectOf(policy, rule),
    factor: rule?.effect === 'step_up' ? rule.factor : undefined,
    seconds: seconds ?? Number.POSITIVE_INFINITY,
  };
};

/** Whoever shows one of the stricter values has shown one of the laxer ones. */
const isAsStrict = (strict: readonly string[] = [], lax: readonly string[] = []) =>
  lax.length === 0 || (strict.length > 0 && strict.every((value) => lax.includes(value)));

describe('a compiled policy', () => {
  it.each([false, true])(
    'finds what going through the rules finds (unsaid facts: %s)',
    (unsaid) => {
      const tally = new Map<string, number>();
      fc.assert(
        fc.property(
          arbitraryPolicy,
          fc.array(arbitraryFacts(unsaid), { minLength: 5 }),
          (policy, all) => {
            const compiled = new CompiledPolicy(policy, zones);
            for (const facts of all) {
              const match = compiled.findMatch(facts);
              const plain = findMatch(policy, facts, zones);
              expect(match).toEqual(plain);
              const kind = `${match.rule === undefined ? 'default' : 'rule'} ${match.isUncertain}`;
              tally.set(kind, (tally.get(kind) ?? 0) + 1);
            }
          },
        ),
        { seed, numRuns: 600 },
      );
      // It was no test of the default alone.
      expect(tally.get('rule false')).toBeGreaterThan(500);
      expect(tally.get('default false')).toBeGreaterThan(100);
      // What a device does not say of itself stays unsaid in both.
      expect(tally.get('rule true')).toBeGreaterThan(10);
    },
  );

  it('answers the same question in the same way, whatever it was asked between', () => {
    fc.assert(
      fc.property(
        arbitraryPolicy,
        arbitraryFacts(true),
        arbitraryFacts(true),
        (policy, one, other) => {
          const compiled = new CompiledPolicy(policy, zones);
          const first = compiled.findMatch(one);
          compiled.findMatch(other);
          expect(compiled.findMatch(one)).toEqual(first);
        },
      ),
      { seed, numRuns: 400 },
    );
  });
});

/** The device's word of the one, the management's of the other. */
function told(device: PostureFacts, mdm: PostureFacts): PostureFacts {
  const both = <Name extends Exclude<keyof PostureFacts, 'platform'>>(name: Name) => ({
    [name]: { device: device[name]?.device, mdm: mdm[name]?.mdm },
  });
  return {
    ...both('diskEncryption'),
    ...both('firewall'),
    ...both('screenLock'),
    platform: { mdm: mdm.platform?.mdm },
    ...both('osVersion'),
  };
}

describe('a policy for one request', () => {
  it.each([false, true])('decides as the whole one, without zones (unsaid facts: %s)', (unsaid) => {
    let longest = 0;
    fc.assert(
      fc.property(
        arbitraryPolicy,
        arbitraryFacts(unsaid),
        arbitraryFacts(unsaid),
        (policy, facts, of) => {
          const compiled = new CompiledPolicy(policy, zones);
          // Before the record is looked at, a management has said nothing.
          const asked = compiled.forRequest({ ...facts, posture: told(facts.posture, {}) });
          expect(policyDocument.parse(strip(asked))).toEqual(strip(asked));
          longest = Math.max(longest, asked.rules.length);
          // Whatever the record of the device may have, the word of its management among it.
          const { deviceTrust, enrollmentStrength, certificateAgeSeconds, atMs } = of;
          const posture = told(facts.posture, of.posture);
          const recorded = {
            deviceTrust,
            enrollmentStrength,
            certificateAgeSeconds,
            atMs,
            posture,
          };
          const unmanaged = told(facts.posture, {});
          for (const whole of [
            facts,
            { ...facts, ...recorded },
            { ...facts, ...recorded, posture: unmanaged },
          ]) {
            const match = findMatch(asked, whole, []);
            const expected = findMatch(policy, whole, zones);
            expect([idOf(match.rule), match.isUncertain]).toEqual([
              idOf(expected.rule),
              expected.isUncertain,
            ]);
          }
        },
      ),
      { seed, numRuns: 1000 },
    );
    expect(longest).toBeGreaterThan(5);
  });
});

describe('rules in order', () => {
  it('say nothing of what comes after the one that decides', () => {
    fc.assert(
      fc.property(arbitraryPolicy, arbitraryFacts(false), (policy, facts) => {
        const { rule, isUncertain } = findMatch(policy, facts, zones);
        if (rule === undefined || isUncertain) return;
        const cut = { ...policy, rules: policy.rules.slice(0, policy.rules.indexOf(rule) + 1) };
        expect(findMatch(cut, facts, zones)).toEqual({ rule, isUncertain });
        const without = { ...policy, rules: policy.rules.filter((one) => one !== rule) };
        expect(findMatch(without, facts, zones).rule).not.toEqual(rule);
      }),
      { seed, numRuns: 1500 },
    );
  });
});

describe('what nobody says', () => {
  const unsaid = ['ipAddress', 'clientType', 'platform'] as const;

  it('never lets anybody in who would not be let in if it were said', () => {
    let changed = 0;
    fc.assert(
      fc.property(
        arbitraryPolicy,
        arbitraryFacts(false),
        fc.subarray([...unsaid], { minLength: 1 }),
        fc.boolean(),
        (policy, facts, names, withoutPosture) => {
          const known = outcomeOf(policy, facts);
          const less = {
            ...facts,
            ...Object.fromEntries(names.map((name) => [name, undefined])),
            ...(withoutPosture ? { posture: {} } : {}),
          };
          const unknown = outcomeOf(policy, less);
          expect(strictness[unknown.effect]).toBeGreaterThanOrEqual(strictness[known.effect]);
          if (unknown.effect === known.effect && known.effect !== 'deny') {
            expect(unknown.seconds).toBeLessThanOrEqual(known.seconds);
            for (const list of ['acr_values', 'amr_values'] as const) {
              expect(isAsStrict(unknown.factor?.[list], known.factor?.[list])).toBe(true);
            }
          }
          if (unknown.effect !== known.effect) changed += 1;
        },
      ),
      { seed, numRuns: 1500 },
    );
    expect(changed).toBeGreaterThan(30);
  });
});
