import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { decodeBase64url, encodeBase64url } from './base64url.ts';

const seed = Number(process.env.COUNTERSIGN_PROPERTY_SEED ?? 20_261_121);
const numRuns = Number(process.env.COUNTERSIGN_PROPERTY_RUNS ?? 1000);

const native = { from: Uint8Array.fromBase64, to: Uint8Array.prototype.toBase64 };
function restoreNative() {
  if (native.from !== undefined) Uint8Array.fromBase64 = native.from;
  if (native.to !== undefined) Uint8Array.prototype.toBase64 = native.to;
}
afterEach(restoreNative);

/** Runs with the code for runtimes that have no base64 of their own. */
function withoutNative<Value>(run: () => Value): Value {
  Reflect.deleteProperty(Uint8Array, 'fromBase64');
  Reflect.deleteProperty(Uint8Array.prototype, 'toBase64');
  try {
    return run();
  } finally {
    restoreNative();
  }
}

/** Text that is nearly base64url: its alphabet, the other one's, padding, white space. */
const nearlyBase64url = fc.oneof(
  fc.string({ unit: fc.constantFrom(...'ABYZaz0189-_'), maxLength: 40 }),
  fc.string({ unit: fc.constantFrom(...'AQgwB-_+/= \n\t~é'), maxLength: 12 }),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('base64')),
  fc.string({ unit: 'binary', maxLength: 12 }),
);

describe('base64url', () => {
  it('has two implementations for one function', () => {
    expect(native.from).toBeDefined();
    fc.assert(
      fc.property(nearlyBase64url, fc.uint8Array({ maxLength: 20_000 }), (text, bytes) => {
        expect(withoutNative(() => decodeBase64url(text))).toEqual(decodeBase64url(text));
        expect(withoutNative(() => encodeBase64url(bytes))).toBe(encodeBase64url(bytes));
      }),
      { seed, numRuns },
    );
  });

  it('decodes exactly what Node would encode', () => {
    fc.assert(
      fc.property(nearlyBase64url, (text) => {
        const bytes = Buffer.from(text, 'base64url');
        const isCanonical = bytes.toString('base64url') === text;
        const decoded = decodeBase64url(text);
        expect(decoded).toEqual(isCanonical ? new Uint8Array(bytes) : undefined);
      }),
      { seed, numRuns },
    );
  });

  it('gives different values different texts', () => {
    const bytes = fc.uint8Array({ maxLength: 8 });
    fc.assert(
      fc.property(bytes, bytes, (one, other) => {
        const areSame = Buffer.compare(one, other) === 0;
        expect(encodeBase64url(one) === encodeBase64url(other)).toBe(areSame);
      }),
      { seed, numRuns },
    );
  });
});
