import { type Bytes, hexOf } from './bytes.ts';
import { DerReader, ownBytes } from './der/reader.ts';
import { tag } from './der/tag.ts';
import { oid } from './object-identifiers.ts';
import { attempt, fail, succeed, X509Error, type X509Result } from './result.ts';
import {
  fitsKey,
  hashOf,
  type SignatureAlgorithm,
  signatureAlgorithmOf,
} from './signature-algorithm.ts';
import { findWeakness } from './weak-rsa-key.ts';

export type KeyKind = 'ec-p256' | 'ec-p384' | 'rsa';

/** A public key of a kind that devices may have. Possession of its private half is not implied. */
export interface SubjectPublicKey {
  readonly kind: KeyKind;
  /** SubjectPublicKeyInfo in DER: the only encoding of this key that the parser accepts. */
  readonly spki: Bytes;
  /** Content of the BIT STRING: the uncompressed point, or RSAPublicKey in DER. */
  readonly publicKeyBits: Bytes;
  /** RFC 7518 §3.1: the one JWS algorithm that this key signs with. */
  readonly jwsAlgorithm: 'ES256' | 'ES384' | 'RS256';
  /** Octets of a signature: r and s side by side, or the length of the RSA modulus. */
  readonly signatureBytes: number;
}

/** A public key together with its key identifier, as certificates carry it. */
export interface IdentifiedPublicKey extends SubjectPublicKey {
  /** 20 octets. */
  readonly keyIdentifier: Bytes;
}

const maxSpkiBytes = 1024;
const minModulusBits = 2048;
const maxModulusBits = 4096;

/**
 * Parses a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) and accepts exactly: EC P-256 and P-384 by named
 * curve with an uncompressed point (RFC 5480), and RSA of 2048 to 4096 bits with exponent 65537
 * (RFC 3279 §2.3.1), whose modulus is also tested for known weaknesses. Whether a point is on its
 * curve is told by `importVerifyKey`.
 */
export function parseSubjectPublicKeyInfo(der: Uint8Array): X509Result<SubjectPublicKey> {
  return attempt(() => {
    const reader = new DerReader(ownBytes(der, maxSpkiBytes, 'public key'));
    const key = readSubjectPublicKeyInfo(reader);
    reader.finish('public key');
    assertNotWeak(key);
    return key;
  });
}

/** Refuses RSA keys that `findWeakness` knows. Costs about a millisecond for RSA, nothing for EC. */
export function assertNotWeak(key: SubjectPublicKey): void {
  if (key.kind !== 'rsa') return;
  const modulus = new DerReader(key.publicKeyBits)
    .enter(tag.sequence, 'RSA public key')
    .unsignedInteger('RSA modulus');
  const weakness = findWeakness(BigInt(`0x${hexOf(modulus)}`));
  if (weakness !== undefined) throw new X509Error('weak_key', `public key: ${weakness}`);
}

/** The next element, without the tests for weak RSA moduli. Throws `X509Error`. */
export function readSubjectPublicKeyInfo(outer: DerReader): SubjectPublicKey {
  const spki = outer.element(tag.sequence, 'public key');
  const reader = new DerReader(spki).enter(tag.sequence, 'public key');
  const algorithm = reader.enter(tag.sequence, 'key algorithm');
  const name = algorithm.objectIdentifier('key algorithm');
  if (name !== oid.ecPublicKey && name !== oid.rsaEncryption) {
    throw new X509Error('key_algorithm_not_allowed', 'public key: neither EC nor RSA');
  }
  const kind = name === oid.rsaEncryption ? readRsaParameters(algorithm) : readCurve(algorithm);
  algorithm.finish('key algorithm');
  const publicKeyBits = reader.octetAlignedBits('public key bits');
  reader.finish('public key');
  switch (kind) {
    case 'ec-p256':
      assertUncompressedPoint(publicKeyBits, 32);
      return { kind, spki, publicKeyBits, jwsAlgorithm: 'ES256', signatureBytes: 64 };
    case 'ec-p384':
      assertUncompressedPoint(publicKeyBits, 48);
      return { kind, spki, publicKeyBits, jwsAlgorithm: 'ES384', signatureBytes: 96 };
    case 'rsa': {
      const signatureBytes = readModulusBytes(publicKeyBits);
      return { kind, spki, publicKeyBits, jwsAlgorithm: 'RS256', signatureBytes };
    }
  }
}

function readRsaParameters(algorithm: DerReader): 'rsa' {
  algorithm.null('RSA parameters');
  return 'rsa';
}

function readCurve(algorithm: DerReader): 'ec-p256' | 'ec-p384' {
  // Explicit curve parameters are a SEQUENCE and never looked into (CVE-2020-0601).
  const named = algorithm.peekTag() === tag.objectIdentifier;
  const curve = named ? algorithm.objectIdentifier('curve') : undefined;
  if (curve === oid.p256) return 'ec-p256';
  if (curve === oid.p384) return 'ec-p384';
  throw new X509Error('curve_not_allowed', 'public key: neither P-256 nor P-384 by name');
}

function assertUncompressedPoint(point: Bytes, coordinateBytes: number): void {
  if (point[0] !== 0x04 || point.length !== 1 + 2 * coordinateBytes) {
    throw new X509Error('point_format_not_allowed', 'public key: point not uncompressed');
  }
}

function readModulusBytes(publicKeyBits: Bytes): number {
  const outer = new DerReader(publicKeyBits);
  const reader = outer.enter(tag.sequence, 'RSA public key');
  outer.finish('RSA public key');
  const modulus = reader.unsignedInteger('RSA modulus');
  const exponent = reader.unsignedInteger('RSA exponent');
  reader.finish('RSA public key');
  const bits = modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24;
  if (bits < minModulusBits) {
    throw new X509Error('rsa_key_too_small', `public key: RSA below ${minModulusBits} bits`);
  }
  if (bits > maxModulusBits) {
    throw new X509Error('rsa_key_too_large', `public key: RSA above ${maxModulusBits} bits`);
  }
  if (hexOf(exponent) !== '010001') {
    throw new X509Error('rsa_exponent_not_allowed', 'public key: RSA exponent is not 65537');
  }
  if (bits % 8 !== 0 || ((modulus[modulus.length - 1] ?? 0) & 1) === 0) {
    throw new X509Error('weak_key', 'public key: RSA modulus is even or of an odd length');
  }
  return modulus.length;
}

/**
 * The key as a WebCrypto key that verifies signatures of this algorithm; by default the one of
 * `jwsAlgorithm`. WebCrypto refuses points that are not on the curve: `public_key_invalid`.
 */
export async function importVerifyKey(
  key: SubjectPublicKey,
  algorithm: SignatureAlgorithm = signatureAlgorithmOf(key.kind),
): Promise<X509Result<CryptoKey>> {
  if (!fitsKey(algorithm, key.kind)) {
    return fail('signature_algorithm_mismatch', 'signature algorithm does not fit the key');
  }
  const parameters =
    key.kind === 'rsa'
      ? { name: 'RSASSA-PKCS1-v1_5', hash: hashOf(algorithm) }
      : { name: 'ECDSA', namedCurve: key.kind === 'ec-p256' ? 'P-256' : 'P-384' };
  try {
    return succeed(await crypto.subtle.importKey('spki', key.spki, parameters, false, ['verify']));
  } catch {
    return fail('public_key_invalid', 'public key: refused by WebCrypto');
  }
}

/** Adds the key identifier: the leftmost 160 bits of SHA-256 over the key bits (RFC 7093 §2, 1). */
export async function identifyPublicKey(key: SubjectPublicKey): Promise<IdentifiedPublicKey> {
  const digest = await crypto.subtle.digest('SHA-256', key.publicKeyBits);
  return { ...key, keyIdentifier: new Uint8Array(digest).slice(0, 20) };
}
