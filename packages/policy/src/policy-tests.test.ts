import { describe, expect, it } from 'vitest';
import { policyDocument } from './policy-document.ts';
import { policyTests, runPolicyTests, zonesOfTests } from './policy-tests.ts';

const policy = policyDocument.parse({
  version: 1,
  enforcement: 'enforce',
  rules: [
    {
      id: 'office',
      when: { network: { zones: ['office'] } },
      effect: 'allow',
      reauthenticate_after_seconds: 60,
    },
  ],
  otherwise: 'deny',
});

const inOffice = { user: 'ada', ip_address: '192.0.2.7' };
const zones = { office: { name: 'Office', blocks: ['192.0.2.0/24'] } };

function run(expected: object, given: object = inOffice) {
  const tests = policyTests.parse({ zones, tests: [{ name: 'one', given, expect: expected }] });
  return runPolicyTests(policy, tests, zonesOfTests(tests), 0).map(
    ({ name, member, wanted, found }) => [name, member, wanted, found],
  );
}

describe('runPolicyTests', () => {
  it('says nothing of what comes out as wanted', () => {
    expect(
      run({
        effect: 'allow',
        rule: 'office',
        reason: 'policy_allowed',
        reauthenticate_after_seconds: 60,
      }),
    ).toEqual([]);
  });

  it.each<[string, object, readonly string[]]>([
    ['the effect', { effect: 'deny' }, ['effect', 'deny', 'allow']],
    ['the rule', { effect: 'allow', rule: 'other' }, ['rule', 'other', 'office']],
    ['the reason', { effect: 'allow', reason: 'x' }, ['reason', 'x', 'policy_allowed']],
    [
      'the time',
      { effect: 'allow', reauthenticate_after_seconds: 61 },
      ['reauthenticate_after_seconds', '61', '60'],
    ],
  ])('tells where %s differs', (_, expected, difference) => {
    expect(run(expected)).toEqual([['one', ...difference]]);
  });

  it('has the networks that the file names, and no others', () => {
    const test = { name: 'one', given: inOffice, expect: { effect: 'deny' } };
    expect(zonesOfTests(policyTests.parse({ zones, tests: [test] }))).toEqual([
      { zone_id: 'office', name: 'Office', on_network: false, blocks: ['192.0.2.0/24'] },
    ]);
    const without = policyTests.parse({ tests: [test] });
    expect(zonesOfTests(without)).toEqual([]);
    expect(runPolicyTests(policy, without, zonesOfTests(without), 0)).toEqual([]);
  });

  it.each([
    ['no tests', { tests: [] }],
    [
      'two of one name',
      {
        tests: ['one', 'one'].map((name) => ({
          name,
          given: inOffice,
          expect: { effect: 'deny' },
        })),
      },
    ],
    ['one without an effect', { tests: [{ name: 'one', given: inOffice, expect: { rule: 'x' } }] }],
    [
      'a member that is unknown',
      { tests: [{ name: 'one', given: inOffice, expects: { effect: 'deny' } }] },
    ],
  ])('takes no file with %s', (_, file) => {
    expect(policyTests.safeParse(file).success).toBe(false);
  });
});
