import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Bytes, concatBytes } from './bytes.ts';
import { encodeElement, encodeSequence, encodeUnsignedInteger } from './der/writer.ts';
import { type EcCurve, ecdsaSignatureFromRaw, ecdsaSignatureToRaw } from './ecdsa-signature.ts';
import { makeKey, must, signRaw } from './testing/make-certificates.ts';
import { bytesOfInteger } from './testing/make-keys.ts';

// The same inputs in every run: a failure is never a matter of luck, and always comes back.
fc.configureGlobal({ seed: 20_261_121 });

const order: Record<EcCurve, bigint> = {
  'P-256': 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  'P-384':
    0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
};
const curves: EcCurve[] = ['P-256', 'P-384'];
const hex = (text: string): Bytes => new Uint8Array(Buffer.from(text, 'hex'));
const integer = (value: bigint) => encodeUnsignedInteger(bytesOfInteger(value));
const signature = (r: Uint8Array, s: Uint8Array) => encodeSequence(r, s);

describe.each(curves)('ECDSA signatures of %s', (curve) => {
  const n = order[curve];
  const one = integer(1n);
  const octets = curve === 'P-256' ? 32 : 48;

  it('come back as they were, whatever zeros they begin with', () => {
    const value = fc.bigInt({ min: 1n, max: n - 1n });
    const small = fc.bigInt({ min: 1n, max: 255n });
    fc.assert(
      fc.property(fc.oneof(value, small), fc.oneof(value, small), (r, s) => {
        const der = signature(integer(r), integer(s));
        const raw = must(ecdsaSignatureToRaw(der, curve));
        expect(raw).toHaveLength(2 * octets);
        expect(must(ecdsaSignatureFromRaw(raw, curve))).toEqual(der);
      }),
    );
  });

  it('are those that WebCrypto makes', async () => {
    const kind = curve === 'P-256' ? 'ec-p256' : 'ec-p384';
    const { privateKey } = await makeKey(kind);
    const raw = await signRaw(privateKey, new Uint8Array([1, 2, 3]), kind);
    const der = must(ecdsaSignatureFromRaw(raw, curve));
    expect(must(ecdsaSignatureToRaw(der, curve))).toEqual(raw);
  });

  it.each<[string, Uint8Array]>([
    ['r of zero', signature(integer(0n), one)],
    ['s of zero', signature(one, integer(0n))],
    ['r of n', signature(integer(n), one)],
    ['s of n', signature(one, integer(n))],
    ['r above n', signature(integer(n + 1n), one)],
    ['r of 2^(8·octets)', signature(integer(1n << BigInt(8 * octets)), one)],
    ['r longer by many octets', signature(integer((n << 64n) + 1n), one)],
    ['negative r', signature(hex('0201ff'), one)],
    ['negative s', signature(one, hex('0201ff'))],
    ['r without its sign octet', signature(encodeElement(0x02, bytesOfInteger(n - 1n)), one)],
    ['padded r', signature(hex('02020001'), one)],
    ['padded s', signature(one, hex('02020001'))],
    ['empty r', signature(hex('0200'), one)],
    ['empty s', signature(one, hex('0200'))],
    ['one integer', encodeSequence(one)],
    ['three integers', encodeSequence(one, one, one)],
    ['no integer', encodeSequence()],
    ['NULL at the end inside', encodeSequence(one, one, hex('0500'))],
    ['a zero at the end', concatBytes(signature(one, one), hex('00'))],
    ['NULL at the end', concatBytes(signature(one, one), hex('0500'))],
    ['a zero in front', concatBytes(hex('00'), signature(one, one))],
    ['indefinite length', hex('30800201010201010000')],
    ['length of the sequence in two octets', hex('308106020101020101')],
    ['length of the sequence in three octets', hex('30820006020101020101')],
    ['length of an integer in two octets', hex('300702810101020101')],
    ['sequence shorter than it says', hex('3007020101020101')],
    ['sequence longer than it says', hex('3005020101020101')],
    ['integer longer than the sequence', hex('3006020101020201')],
    ['SET', hex('3106020101020101')],
    ['OCTET STRING for r', hex('3006040101020101')],
    ['BOOLEAN for r', hex('3006010101020101')],
    ['constructed INTEGER', hex('30082203020101020101')],
    ['nested sequence', encodeSequence(signature(one, one))],
    ['raw values', new Uint8Array(2 * octets).fill(1)],
    ['nothing', new Uint8Array()],
    ['one octet', hex('30')],
    ['a huge length', hex('3085ffffffffff020101020101')],
    ['four kilobytes', new Uint8Array(4096).fill(0x30)],
  ])('are refused: %s', (_, der) => {
    expect(ecdsaSignatureToRaw(der, curve)).toMatchObject({
      ok: false,
      reason: 'malformed_signature',
    });
  });

  it.each<[string, Uint8Array]>([
    ['too short', new Uint8Array(2 * octets - 1).fill(1)],
    ['too long', new Uint8Array(2 * octets + 1).fill(1)],
    ['all zero', new Uint8Array(2 * octets)],
    ['s of zero', concatBytes(new Uint8Array(octets).fill(1), new Uint8Array(octets))],
    ['r of n', concatBytes(bytesOfInteger(n), new Uint8Array(octets).fill(1))],
    ['all ones', new Uint8Array(2 * octets).fill(0xff)],
    ['nothing', new Uint8Array()],
  ])('are not made of raw values: %s', (_, raw) => {
    expect(ecdsaSignatureFromRaw(raw, curve)).toMatchObject({
      ok: false,
      reason: 'malformed_signature',
    });
  });
});
