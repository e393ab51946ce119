import { describe, expect, it } from 'vitest';
import { findInLog } from './find-in-log.ts';

const archived = `${'E'.repeat(22)}.3`;
const row = (record: string) => ({ sequence: 2, record, hash: `hash of ${record}` });
const receipt = (chain: string) => ({ chain, ...row('this'), previous_hash: '' });
const chain = (name: string, ...records: string[]) => ({
  name,
  start: undefined,
  head: undefined,
  rows: [{ sequence: 1, record: 'first', hash: '' }, ...records.map(row)],
});

describe('the row of a receipt in an exported log', () => {
  it.each([
    ['found', '3', [chain('3', 'this')]],
    ['found', '3', [chain('3', 'newer'), chain(archived, 'this')]],
    ['found', archived, [chain(archived, 'this')]],
    ['found', archived, [chain('3', 'this')]],
    ['changed', '3', [chain('3', 'other')]],
    ['changed', archived, [chain(archived, 'other')]],
    ['missing', '3', [chain('3')]],
    ['missing', '3', [chain('13', 'this'), chain('organization', 'this')]],
    ['missing', archived, [chain(`${'F'.repeat(22)}.3`, 'this')]],
  ] as const)('is %s: chain %s', async (found, name, chains) => {
    expect(await findInLog(receipt(name), chains)).toBe(found);
  });

  it('is not found by its hash alone', async () => {
    const forged = { ...receipt('3'), record: 'other' };
    expect(await findInLog(forged, [chain('3', 'this')])).toBe('changed');
  });
});
