import { type Bytes, concatBytes, hexOf } from '../bytes.ts';
import {
  encodeElement,
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

/** An element like `der` with other content: the length is put right. */
export function replaceIn(der: Bytes, search: string, replacement: string): Bytes {
  const hex = hexOf(der);
  if (hex.split(search).length !== 2) throw new Error(`not exactly once: ${search}`);
  return new Uint8Array(Buffer.from(hex.replace(search, replacement), 'hex'));
}

/** Explicit curve parameters (X9.62 SpecifiedECDomain), cut down to what tells them from a name. */
export const explicitCurve = concatBytes(
  encodeElement(0x30, encodeUnsignedInteger(new Uint8Array([1]))),
);
