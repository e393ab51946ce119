import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { findChainedRow, parseRowName } from './decision-receipt.ts';
import { emptyChain } from './hash-chain.ts';

const row = (sequence: number) => ({
  sequence,
  record: `record ${sequence}`,
  hash: new Uint8Array(32).fill(sequence),
});

describe('the hash that a row builds on', () => {
  it('is that of the row before', async () => {
    const found = await findChainedRow([row(4), row(5)], 5, '{"from":"import"}');
    expect(found).toEqual({ ...row(5), previousHash: row(4).hash });
  });

  it('is of the first row what its chain began with', async () => {
    expect(await findChainedRow([row(1)], 1, undefined)).toEqual({
      ...row(1),
      previousHash: emptyChain.hash,
    });
    const start = '{"from":"import"}';
    const digest = createHash('sha256').update(start).digest();
    const found = await findChainedRow([row(1)], 1, start);
    expect(found?.previousHash).toEqual(new Uint8Array(digest));
  });

  it('is of no other row', async () => {
    expect(await findChainedRow([row(4)], 5, undefined)).toBeUndefined();
  });
});

describe('the name of a row', () => {
  const exported = 'E'.repeat(22);
  it.each([
    ['3.17', { chain: '3', archivedBy: undefined, shard: 3, sequence: 17 }],
    [`${exported}.3.17`, { chain: `${exported}.3`, archivedBy: exported, shard: 3, sequence: 17 }],
    ['3.0', undefined],
    ['3.017', undefined],
    ['17', undefined],
    ['organization.17', undefined],
    [`${exported}.17`, undefined],
    ['3.17 ', undefined],
  ])('%s', (text, name) => {
    expect(parseRowName(text)).toEqual(name);
  });
});
