import { firstBrokenRow } from '@countersign/testkit/verify-chain';
import { describe, expect, it } from 'vitest';
import { emptyChain, extendChain } from './hash-chain.ts';

const base64url = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');

function chainOf(records: readonly string[]) {
  let head = emptyChain;
  const rows = records.map((record) => {
    head = extendChain(head, record);
    return { sequence: head.count, record, hash: base64url(head.hash) };
  });
  return { rows, head: { count: head.count, hash: base64url(head.hash) } };
}

const { rows, head } = chainOf(['{"a":1}', '{"a":2}', '{"name":"Łukasz 😀"}', '{}']);

type Row = (typeof rows)[number];

function row(sequence: number, change: Partial<Row> = {}): Row {
  const found = rows[sequence - 1];
  if (found === undefined) throw new RangeError(`there is no row ${sequence}`);
  return { ...found, ...change };
}

describe('extendChain', () => {
  it('is what `openssl dgst -sha256` computes over 32 zero bytes and the record', () => {
    expect(row(1)).toEqual({
      sequence: 1,
      record: '{"a":1}',
      hash: 'sGoikHB0EpJRLodg9HDdekxGzP3yU994HYjavljBzLE',
    });
  });

  it('starts from nothing', () => {
    expect(emptyChain).toEqual({ count: 0, hash: new Uint8Array(32) });
  });

  it('makes a chain that the independent check accepts', () => {
    expect(firstBrokenRow(rows, head)).toBeUndefined();
    expect(firstBrokenRow([], { count: 0, hash: base64url(emptyChain.hash) })).toBeUndefined();
  });

  it.each<[what: string, changed: Row[], broken: number]>([
    ['a changed row', [row(1), row(2, { record: '{"a":3}' }), row(3), row(4)], 2],
    ['a changed hash', [row(1), row(2), row(3, { hash: row(1).hash }), row(4)], 3],
    ['a missing row', [row(1), row(3), row(4)], 2],
    ['a missing row, renumbered', [row(1), row(3, { sequence: 2 })], 2],
    ['two rows that changed places', [row(2), row(1), row(3), row(4)], 1],
    ['a row that is there twice', [row(1), row(1), row(2), row(3), row(4)], 2],
    ['an end that was cut off', [row(1), row(2)], 3],
    ['all rows gone', [], 1],
  ])('lets %s be found', (_what, changed, broken) => {
    expect(firstBrokenRow(changed, head)).toBe(broken);
  });
});
