import { encodeBase64url } from '@countersign/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deviceObjectName, keyObjectName, shardOfBytes, shardOfId } from './placement.ts';

// Every one of these is stored in somebody's data: none may ever change.
describe('placement', () => {
  it.each<[bytes: number[], shardCount: number, shard: number]>([
    [[0, 0, 0, 0], 64, 0],
    [[0, 0, 0, 65], 64, 1],
    [[0xff, 0xff, 0xff, 0xff], 64, 63],
    [[0xff, 0xff, 0xff, 0xff], 1000, 295],
    [[0x01, 0x02, 0x03, 0x04, 0xff], 1024, 772],
    [[0xde, 0xad, 0xbe, 0xef], 8, 7],
    [[0xde, 0xad, 0xbe, 0xef], 1, 0],
  ])('%j of %i shards is shard %i', (bytes, shardCount, shard) => {
    expect(shardOfBytes(new Uint8Array(bytes), shardCount)).toBe(shard);
    expect(shardOfId(encodeBase64url(new Uint8Array(bytes)), shardCount)).toBe(shard);
  });

  it('reads the bytes that it is given, not the buffer that they lie in', () => {
    const bytes = new Uint8Array([9, 9, 0, 0, 0, 5]).subarray(2);
    expect(shardOfBytes(bytes, 64)).toBe(5);
  });

  it.each(['', 'AAA', 'AAAA=', 'AAAAAA==', 'not base64url!', 'AAAAA', 'AAAAAB'])(
    'has no shard for the id %j',
    (id) => {
      expect(shardOfId(id, 64)).toBeUndefined();
    },
  );

  it('refuses to place what cannot be uniform', () => {
    expect(() => shardOfBytes(new Uint8Array(3), 64)).toThrow(RangeError);
  });

  it('gives a shard in range, the same for the id and for its bytes', () => {
    const bytes = fc.uint8Array({ minLength: 4, maxLength: 32 });
    fc.assert(
      fc.property(bytes, fc.integer({ min: 1, max: 9999 }), (id, shardCount) => {
        const shard = shardOfBytes(id, shardCount);
        expect(Number.isInteger(shard) && shard >= 0 && shard < shardCount).toBe(true);
        expect(shardOfId(encodeBase64url(id), shardCount)).toBe(shard);
      }),
      { seed: 20_261_121 },
    );
  });

  it('names the objects of a shard', () => {
    expect([deviceObjectName(7), keyObjectName(7)]).toEqual(['shard-7', 'keys-7']);
  });
});
