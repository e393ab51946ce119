import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { diffPolicies } from './diff-policies.ts';
import { type ApplicationPolicy, applicationPolicy } from './policy-document.ts';

const seed = Number(process.env.COUNTERSIGN_PROPERTY_SEED ?? 20_261_121);
const numRuns = Number(process.env.COUNTERSIGN_PROPERTY_RUNS ?? 100);

const policy = (rules: readonly object[], more: object = {}): ApplicationPolicy =>
  applicationPolicy.parse({
    version: 1,
    enforcement: 'enforce',
    otherwise: 'deny',
    rules: rules.map((rule) => ({ when: {}, effect: 'deny', ...rule })),
    ...more,
  });

const diff = (before: ApplicationPolicy, after: ApplicationPolicy) => {
  const { version: _, ...older } = before;
  const { version: __, ...newer } = after;
  return diffPolicies(older, newer);
};

describe('diffPolicies', () => {
  it('says which members of the policy and of a rule have changed, by their paths', () => {
    const before = policy([{ id: 'one', when: { people: { groups: ['staff'] } } }]);
    const after = policy(
      [{ id: 'one', when: { people: { groups: ['staff', 'guests'] }, platforms: ['macos'] } }],
      { enforcement: 'monitor' },
    );
    expect(diff(before, after)).toEqual([
      { kind: 'policy_changed', member: 'enforcement', before: 'enforce', after: 'monitor' },
      {
        kind: 'rule_changed',
        rule: 'one',
        member: 'when.people.groups',
        before: '["staff"]',
        after: '["staff","guests"]',
      },
      {
        kind: 'rule_changed',
        rule: 'one',
        member: 'when.platforms',
        before: '(not there)',
        after: '["macos"]',
      },
    ]);
  });

  it('tells rules that are new, gone and moved apart', () => {
    const before = policy([{ id: 'one' }, { id: 'two' }, { id: 'three' }, { id: 'gone' }]);
    const after = policy([{ id: 'three' }, { id: 'one' }, { id: 'new' }, { id: 'two' }]);
    expect(diff(before, after)).toEqual([
      { kind: 'rule_moved', rule: 'three', before: '3', after: '1' },
      { kind: 'rule_added', rule: 'new', text: '{"when":{},"effect":"deny"}' },
      { kind: 'rule_removed', rule: 'gone', text: '{"when":{},"effect":"deny"}' },
    ]);
  });

  it('does not call a rule moved that others have come before', () => {
    expect(diff(policy([{ id: 'one' }]), policy([{ id: 'new' }, { id: 'one' }]))).toMatchObject([
      { kind: 'rule_added', rule: 'new' },
    ]);
  });

  it('finds nothing between two that are the same, and something between any two that are not', () => {
    const rules = fc.uniqueArray(
      fc.record({
        id: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
        effect: fc.constantFrom('deny', 'allow'),
      }),
      { selector: ({ id }) => id },
    );
    fc.assert(
      fc.property(rules, rules, (one, other) => {
        const isSame = JSON.stringify(one) === JSON.stringify(other);
        expect(diff(policy(one), policy(other)).length === 0).toBe(isSame);
      }),
      { seed, numRuns },
    );
  });

  it('says of as few rules as possible that they were moved', () => {
    const ids = ['a', 'b', 'c', 'd', 'e', 'f'];
    fc.assert(
      fc.property(fc.shuffledSubarray(ids, { minLength: 6 }), (order) => {
        const found = diff(policy(ids.map((id) => ({ id }))), policy(order.map((id) => ({ id }))));
        const moved = new Set(found.map((one) => ('rule' in one ? one.rule : '')));
        // Without those that were moved, both are in the same order; with any one fewer, some would not be.
        const rest = order.filter((id) => !moved.has(id));
        expect(rest).toEqual([...rest].sort());
        const longest = (left: readonly string[], last: string): number =>
          Math.max(
            0,
            ...left.map((id, place) => (id > last ? 1 + longest(left.slice(place + 1), id) : 0)),
          );
        expect(rest).toHaveLength(longest(order, ''));
      }),
      { seed, numRuns },
    );
  });
});
