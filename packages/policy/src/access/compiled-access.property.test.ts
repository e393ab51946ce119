import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AccessFacts, checkAccess, type ShownDeviceTrust } from './access-criteria.ts';
import { type AccessDocument, type AccessRule, accessDocument } from './access-document.ts';
import { CompiledAccess, findAccess } from './compiled-access.ts';
import { goodAccess, onRecord, saidBy } from './testing/access-facts.ts';

const actions = ['read', 'write'];
const types = ['document', 'folder'];
/** Most rules ask for little, so that some match. */
const rarely = <Value>(value: fc.Arbitrary<Value>) =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value });
const some = <Value>(...values: Value[]) =>
  rarely(fc.uniqueArray(fc.constantFrom(...values), { minLength: 1 }));
const condition = (name: string, ...values: (string | boolean)[]) =>
  rarely(
    fc
      .uniqueArray(fc.constantFrom(...values), { minLength: 1 })
      .map((any_of) => [{ name, any_of }]),
  );

const withoutUndefined = <Value extends object>(value: Value) =>
  JSON.parse(JSON.stringify(value)) as Value;

const rules = fc
  .array(
    fc.record({
      when: fc
        .record({
          actions: some(...actions),
          resource_types: some(...types),
          resources: some('one', 'two'),
          subject_types: some('user', 'service'),
          people: rarely(
            fc.constantFrom({ users: ['ada'] }, { groups: ['staff'] }, { except_users: ['bob'] }),
          ),
          subject_properties: condition('role', 'editor', 'owner'),
          resource_properties: condition('status', 'active', 'archived'),
          action_properties: condition('soft', true, false),
          device_trust: rarely(fc.constantFrom('trusted', 'not_trusted')),
        })
        .map(withoutUndefined),
      effect: fc.constantFrom('allow', 'deny'),
      enabled: fc.boolean(),
    }),
    { maxLength: 6 },
  )
  .map((list) => list.map((rule, place): unknown => ({ ...rule, id: `rule-${place}` })));

const document = rules.map(
  (list): AccessDocument =>
    accessDocument.parse({
      version: 1,
      resource_types: types.map((type) => ({ type, actions })),
      subjects: [],
      resources: [],
      rules: list,
    }),
);

const facts: fc.Arbitrary<AccessFacts> = fc.record({
  subjectType: fc.constantFrom('user', 'service'),
  subjectId: fc.constantFrom('ada', 'bob'),
  action: fc.constantFrom(...actions),
  resourceType: fc.constantFrom(...types),
  resourceId: fc.constantFrom('one', 'two', 'three'),
  groups: fc.constantFrom(new Set<string>(), new Set(['staff'])),
  subject: fc.constantFrom(
    ...[
      onRecord({ role: 'editor' }),
      onRecord({ role: ['guest', 'owner'] }),
      onRecord({ role: [] }),
    ],
    ...[onRecord({}), saidBy([], undefined)],
  ),
  resource: fc.constantFrom(
    onRecord({ status: 'archived' }),
    saidBy(['status'], { status: 'active' }),
    saidBy(['status'], {}),
  ),
  actionProperties: fc.constantFrom(saidBy(['soft'], { soft: true }), saidBy([], { soft: true })),
  deviceTrust: fc.constantFrom<ShownDeviceTrust | undefined>(
    { trusted: true },
    { trusted: false },
    { trusted: false, reason: 'device_blocked' },
    undefined,
  ),
});

/** Every way in which what is unknown could turn out, one after the other: allowed only if all of them allow. */
function allowedInEveryWorld(list: readonly AccessRule[], asked: AccessFacts): boolean {
  const walk = (place: number): boolean => {
    const rule = list[place];
    if (rule === undefined) return false;
    const verdict = rule.enabled === false ? 'not_met' : checkAccess(rule.when, asked);
    const matched = rule.effect === 'allow';
    if (verdict === 'met') return matched;
    const rest = () => walk(place + 1);
    return verdict === 'unknown' ? matched && rest() : rest();
  };
  return walk(0);
}

describe('access', () => {
  it('is allowed where the rules allow it, whatever the unknown turns out to be', () => {
    let allowed = 0;
    fc.assert(
      fc.property(document, facts, (one, asked) => {
        const { decision } = findAccess(one.rules, asked);
        expect(decision).toBe(allowedInEveryWorld(one.rules, asked));
        if (decision) allowed += 1;
      }),
      { numRuns: 3000, seed: 20 },
    );
    expect(allowed).toBeGreaterThan(300);
  });

  it('is the same from the index as rule after rule, each time', () => {
    fc.assert(
      fc.property(document, fc.array(facts, { minLength: 1, maxLength: 8 }), (one, all) => {
        const compiled = new CompiledAccess(one);
        for (const asked of [...all, ...all]) {
          expect(compiled.evaluate(asked)).toEqual(findAccess(one.rules, asked));
        }
      }),
      { numRuns: 500, seed: 20 },
    );
  });

  it('is never wider for what is said no more', () => {
    fc.assert(
      fc.property(document, facts, (one, asked) => {
        const silent: AccessFacts = {
          ...asked,
          deviceTrust: undefined,
          resource: saidBy(['status'], undefined),
          actionProperties: saidBy([], undefined),
        };
        if (findAccess(one.rules, silent).decision) {
          expect(findAccess(one.rules, asked).decision).toBe(true);
        }
      }),
      { numRuns: 1000, seed: 20 },
    );
  });

  it('to what the document does not have is not allowed by any rule', () => {
    const all = { id: 'all', when: {}, effect: 'allow' };
    const open = accessDocument.parse({
      version: 1,
      resource_types: [
        { type: 'document', actions: ['read'] },
        { type: 'folder', actions: ['write'] },
      ],
      rules: [all],
    });
    const compiled = new CompiledAccess(open);
    const ask = (resourceType: string, action: string) =>
      compiled.evaluate({ ...goodAccess, resourceType, action }).decision;
    expect(ask('document', 'read')).toBe(true);
    expect(ask('document', 'write')).toBe(false);
    expect(ask('folder', 'read')).toBe(false);
    expect(ask('constructor', 'read')).toBe(false);
    expect(compiled.actionsOf('folder')).toEqual(['write']);
    expect(compiled.actionsOf('constructor')).toBeUndefined();
  });
});
