import type { Bytes } from '../bytes.ts';
import {
  encodeNull,
  encodeOctetAlignedBits,
  encodeOid,
  encodeSequence,
  encodeUnsignedInteger,
} from '../der/writer.ts';
import { oid } from '../object-identifiers.ts';

/** A deterministic stream of numbers: tests that search for primes find the same ones every time. */
export function seededRandom(seed: number): (bits: number) => bigint {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  return (bits) => {
    let value = 0n;
    for (let i = 0; i < bits; i += 32) value = (value << 32n) | BigInt(next());
    return value & ((1n << BigInt(bits)) - 1n);
  };
}

export function bytesOfInteger(value: bigint): Bytes {
  const digits = value.toString(16);
  const even = digits.padStart(digits.length + (digits.length % 2), '0');
  return new Uint8Array(Buffer.from(even, 'hex'));
}

/** SubjectPublicKeyInfo of any algorithm, parameters and key bits. */
export function spkiOf(algorithm: string, parameters: readonly Uint8Array[], bits: Bytes): Bytes {
  return encodeSequence(
    encodeSequence(encodeOid(algorithm), ...parameters),
    encodeOctetAlignedBits(bits),
  );
}

export function rsaSpki(modulus: bigint, exponent = 65537n): Bytes {
  const key = encodeSequence(
    encodeUnsignedInteger(bytesOfInteger(modulus)),
    encodeUnsignedInteger(bytesOfInteger(exponent)),
  );
  return spkiOf(oid.rsaEncryption, [encodeNull()], key);
}

export function ecSpki(curve: Uint8Array, point: Bytes): Bytes {
  return spkiOf(oid.ecPublicKey, [curve], point);
}

/** Explicit curve parameters (X9.62 SpecifiedECDomain), cut down to what tells them from a name. */
export const explicitCurve = encodeSequence(encodeUnsignedInteger(new Uint8Array([1])));

/** Base point of P-256 (SEC 2 §2.4.2): a point that is certainly on the curve. */
export const p256BasePoint: Bytes = new Uint8Array(
  Buffer.from(
    '046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296' +
      '4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5',
    'hex',
  ),
);
