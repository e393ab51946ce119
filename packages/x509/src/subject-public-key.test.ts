import { describe, expect, it } from 'vitest';
import { type Bytes, concatBytes, hexOf } from './bytes.ts';
import { encodeElement, encodeNull, encodeOid } from './der/writer.ts';
import { oid } from './object-identifiers.ts';
import type { X509FailureReason } from './result.ts';
import {
  identifyPublicKey,
  importVerifyKey,
  parseSubjectPublicKeyInfo,
} from './subject-public-key.ts';
import { must } from './testing/make-certificates.ts';
import {
  ecSpki,
  explicitCurve,
  p256BasePoint,
  rsaSpki,
  seededRandom,
  spkiOf,
} from './testing/make-keys.ts';

const p256Point = p256BasePoint;
/** Base point of P-384 (SEC 2 §2.5.1). */
const p384Point = new Uint8Array(
  Buffer.from(
    '04aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7' +
      '3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f',
    'hex',
  ),
);
const p256 = encodeOid(oid.p256);
const random = seededRandom(1);
/** Odd, of exactly this length, and without a small factor or another known weakness. */
function plainModulus(bits: number): bigint {
  for (;;) {
    const modulus = random(bits) | (1n << BigInt(bits - 1)) | 1n;
    if (parseSubjectPublicKeyInfo(rsaSpki(modulus)).ok) return modulus;
  }
}

const outcome = (der: Bytes): X509FailureReason | 'accepted' => {
  const result = parseSubjectPublicKeyInfo(der);
  return result.ok ? 'accepted' : result.reason;
};

describe('keys that are taken', () => {
  it.each([
    ['ec-p256', 'ES256', 64, ecSpki(p256, p256Point)],
    ['ec-p384', 'ES384', 96, ecSpki(encodeOid(oid.p384), p384Point)],
    ['rsa', 'RS256', 256, rsaSpki(plainModulus(2048))],
    ['rsa', 'RS256', 384, rsaSpki(plainModulus(3072))],
    ['rsa', 'RS256', 512, rsaSpki(plainModulus(4096))],
  ] as const)(
    '%s, %s, signatures of %i octets',
    async (kind, jwsAlgorithm, signatureBytes, der) => {
      const key = must(parseSubjectPublicKeyInfo(der));
      expect(key).toMatchObject({ kind, jwsAlgorithm, signatureBytes, spki: der });
      expect((await importVerifyKey(key)).ok).toBe(true);
    },
  );

  it('have the first 160 bits of SHA-256 over the key bits as identifier', async () => {
    const key = must(parseSubjectPublicKeyInfo(ecSpki(p256, p256Point)));
    const { keyIdentifier } = await identifyPublicKey(key);
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', p256Point));
    expect(hexOf(keyIdentifier)).toBe(hexOf(digest).slice(0, 40));
  });
});

const modulus2048 = plainModulus(2048);
const infinity = new Uint8Array(1);
const compressed = concatBytes(new Uint8Array([0x02]), p256Point.subarray(1, 33));
const hybrid = concatBytes(new Uint8Array([0x06]), p256Point.subarray(1));

describe('keys that are refused', () => {
  it.each<[string, X509FailureReason, Bytes]>([
    ['Ed25519', 'key_algorithm_not_allowed', spkiOf('1.3.101.112', [], new Uint8Array(32))],
    ['Ed448', 'key_algorithm_not_allowed', spkiOf('1.3.101.113', [], new Uint8Array(57))],
    ['DSA', 'key_algorithm_not_allowed', spkiOf('1.2.840.10040.4.1', [], infinity)],
    [
      'RSA-PSS',
      'key_algorithm_not_allowed',
      spkiOf('1.2.840.113549.1.1.10', [], new Uint8Array(270)),
    ],
    ['id-ecDH', 'key_algorithm_not_allowed', spkiOf('1.3.132.1.12', [p256], p256Point)],
    ['P-521', 'curve_not_allowed', ecSpki(encodeOid('1.3.132.0.35'), new Uint8Array(133))],
    ['P-192', 'curve_not_allowed', ecSpki(encodeOid('1.2.840.10045.3.1.1'), new Uint8Array(49))],
    ['secp256k1', 'curve_not_allowed', ecSpki(encodeOid('1.3.132.0.10'), p256Point)],
    ['brainpool', 'curve_not_allowed', ecSpki(encodeOid('1.3.36.3.3.2.8.1.1.7'), p256Point)],
    ['explicit parameters', 'curve_not_allowed', ecSpki(explicitCurve, p256Point)],
    ['implicit curve', 'curve_not_allowed', ecSpki(encodeNull(), p256Point)],
    ['no curve', 'curve_not_allowed', spkiOf(oid.ecPublicKey, [], p256Point)],
    ['point at infinity', 'point_format_not_allowed', ecSpki(p256, infinity)],
    ['compressed point', 'point_format_not_allowed', ecSpki(p256, compressed)],
    ['hybrid point', 'point_format_not_allowed', ecSpki(p256, hybrid)],
    ['point of another curve', 'point_format_not_allowed', ecSpki(p256, p384Point)],
    ['empty point', 'point_format_not_allowed', ecSpki(p256, new Uint8Array())],
    ['RSA-1024', 'rsa_key_too_small', rsaSpki(plainOdd(1024))],
    ['RSA-2047', 'rsa_key_too_small', rsaSpki(plainOdd(2047))],
    ['RSA-4097', 'rsa_key_too_large', rsaSpki(plainOdd(4097))],
    ['RSA-16384', 'too_large', rsaSpki(plainOdd(16384))],
    ['RSA with exponent 1', 'rsa_exponent_not_allowed', rsaSpki(modulus2048, 1n)],
    ['RSA with exponent 3', 'rsa_exponent_not_allowed', rsaSpki(modulus2048, 3n)],
    ['RSA with exponent 65539', 'rsa_exponent_not_allowed', rsaSpki(modulus2048, 65539n)],
    ['RSA with a huge exponent', 'rsa_exponent_not_allowed', rsaSpki(modulus2048, modulus2048)],
    ['RSA with an even modulus', 'weak_key', rsaSpki(modulus2048 - 1n)],
    ['RSA-2049', 'weak_key', rsaSpki(plainOdd(2049))],
    ['RSA without NULL', 'malformed_der', withoutNull(rsaSpki(modulus2048))],
    ['trailing bytes', 'trailing_bytes', concatBytes(rsaSpki(modulus2048), infinity)],
    [
      'a second parameter',
      'trailing_bytes',
      spkiOf(oid.ecPublicKey, [p256, encodeNull()], p256Point),
    ],
    ['nothing', 'malformed_der', new Uint8Array()],
  ])('%s: %s', (_, reason, der) => {
    expect(outcome(der)).toBe(reason);
  });

  it('an RSA key whose BIT STRING goes on after the key', () => {
    const { publicKeyBits } = must(parseSubjectPublicKeyInfo(rsaSpki(modulus2048)));
    const longer = concatBytes(publicKeyBits, infinity);
    expect(outcome(spkiOf(oid.rsaEncryption, [encodeNull()], longer))).toBe('trailing_bytes');
  });

  it('a negative modulus', () => {
    const key = encodeElement(
      0x30,
      encodeElement(0x02, new Uint8Array(256).fill(0x81)),
      encodeElement(0x02, new Uint8Array([1, 0, 1])),
    );
    expect(outcome(spkiOf(oid.rsaEncryption, [encodeNull()], key))).toBe('malformed_structure');
  });

  it.each([
    ['off the curve', 64],
    ['with a coordinate above the field', 1],
  ])('a point %s, when WebCrypto sees it', async (_, at) => {
    const point = new Uint8Array(p256Point);
    if (at === 1) point.fill(0xff, 1, 33);
    else point[at] = (point[at] ?? 0) ^ 1;
    const key = must(parseSubjectPublicKeyInfo(ecSpki(p256, point)));
    expect(await importVerifyKey(key)).toMatchObject({ ok: false, reason: 'public_key_invalid' });
  });

  it('a signature algorithm of another family', async () => {
    const key = must(parseSubjectPublicKeyInfo(ecSpki(p256, p256Point)));
    expect(await importVerifyKey(key, 'rsa-sha256')).toMatchObject({
      ok: false,
      reason: 'signature_algorithm_mismatch',
    });
  });
});

function plainOdd(bits: number): bigint {
  return random(bits) | (1n << BigInt(bits - 1)) | 1n;
}

function withoutNull(spki: Bytes): Bytes {
  const { publicKeyBits } = must(parseSubjectPublicKeyInfo(spki));
  return spkiOf(oid.rsaEncryption, [], publicKeyBits);
}
