import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { decodeBase64url, encodeBase64url } from './base64url.ts';

const seed = Number(process.env.COUNTERSIGN_PROPERTY_SEED ?? 20_261_121);
const numRuns = Number(process.env.COUNTERSIGN_PROPERTY_RUNS ?? 100);

const refused = [
  'A',
  'AAAAA',
  'AA==',
  'AAA=',
  'A+',
  'A/',
  'A A',
  ' AAAA',
  'AAAA\n',
  'AB',
  'AAB',
  'Ä',
  '=',
  'AA.A',
];

describe.each(['native', 'fallback'])('%s', (kind) => {
  const native = { from: Uint8Array.fromBase64, to: Uint8Array.prototype.toBase64 };
  const use = () => {
    if (kind === 'native') return;
    Reflect.deleteProperty(Uint8Array, 'fromBase64');
    Reflect.deleteProperty(Uint8Array.prototype, 'toBase64');
  };
  afterEach(() => {
    if (native.from !== undefined) Uint8Array.fromBase64 = native.from;
    if (native.to !== undefined) Uint8Array.prototype.toBase64 = native.to;
  });

  test('encodes as Buffer does and decodes what it encoded', () => {
    use();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => {
        const text = encodeBase64url(bytes);
        expect(text).toBe(Buffer.from(bytes).toString('base64url'));
        expect(decodeBase64url(text)).toEqual(bytes);
      }),
      { seed, numRuns },
    );
  });

  test.each(refused)('refuses %j', (text) => {
    use();
    expect(decodeBase64url(text)).toBeUndefined();
  });

  test('has one spelling for every value', () => {
    use();
    fc.assert(
      fc.property(fc.string({ maxLength: 8 }), (text) => {
        const bytes = decodeBase64url(text);
        if (bytes !== undefined) expect(encodeBase64url(bytes)).toBe(text);
      }),
      { seed, numRuns },
    );
  });
});
