import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { testPolicy } from './policy-files.ts';

const folder = mkdtempSync(join(tmpdir(), 'countersign-policy-files-'));
afterAll(() => rmSync(folder, { recursive: true }));

const office = { name: 'Office', on_network: true, blocks: ['192.0.2.0/24'] };
const policy = {
  enforcement: 'enforce' as const,
  rules: [
    { id: 'office', when: { network: { zones: ['office'] } }, effect: 'allow' as const },
    { id: 'guests', when: { network: { except_zones: ['guests'] } }, effect: 'deny' as const },
  ],
  otherwise: 'deny' as const,
};
const test = {
  name: 'the office',
  given: { user: 'ada', ip_address: '192.0.2.7' },
  expect: { effect: 'allow', rule: 'office' },
};

function run(zones: object, known?: Parameters<typeof testPolicy>[3]['zones']) {
  const tests = join(folder, 'crm.tests.json');
  writeFileSync(tests, JSON.stringify({ zones, tests: [test] }));
  return testPolicy('crm.json', policy, tests, { global: undefined, zones: known }, 0);
}

describe('the tests of a policy', () => {
  it('say themselves which addresses its networks have, where no broker does', () => {
    const guests = { name: 'Guests', blocks: ['198.51.100.0/24'] };
    expect(run({ office, guests })).toBe(1);
    // A network that is not known would match nobody, and a test of it prove nothing.
    expect(() => run({ office })).toThrow('zones does not say which addresses guests has');
    expect(() => run({ guests })).toThrow('which addresses office has');
  });

  it('are run by the networks of the broker where it was asked', () => {
    const zones = ['office', 'guests'].map((zone_id) => ({ zone_id, ...office }));
    expect(run({}, zones)).toBe(1);
    const elsewhere = zones.map((zone) => ({ ...zone, blocks: ['203.0.113.0/24'] }));
    expect(() => run({ office, guests: office }, elsewhere)).toThrow('1 of 1 tests failed');
  });
});
