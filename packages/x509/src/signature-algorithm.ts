import { type Bytes, equalBytes } from './bytes.ts';
import type { DerReader } from './der/reader.ts';
import { tag } from './der/tag.ts';
import { encodeNull, encodeOid, encodeSequence } from './der/writer.ts';
import { oid } from './object-identifiers.ts';
import { X509Error } from './result.ts';
import type { KeyKind } from './subject-public-key.ts';

/** Signatures on certificates and requests: nothing with SHA-1 or MD5, no RSA-PSS, no Ed25519. */
export type SignatureAlgorithm =
  | 'ecdsa-sha256'
  | 'ecdsa-sha384'
  | 'ecdsa-sha512'
  | 'rsa-sha256'
  | 'rsa-sha384'
  | 'rsa-sha512';

export type SignatureHash = 'SHA-256' | 'SHA-384' | 'SHA-512';

interface Definition {
  readonly family: 'ecdsa' | 'rsa';
  readonly hash: SignatureHash;
  /** AlgorithmIdentifier: no parameters for ECDSA (RFC 5758 §3.2), NULL for RSA (RFC 4055 §5). */
  readonly identifier: Bytes;
}

function ecdsa(hash: SignatureHash, dotted: string): Definition {
  return { family: 'ecdsa', hash, identifier: encodeSequence(encodeOid(dotted)) };
}

function rsa(hash: SignatureHash, dotted: string): Definition {
  return { family: 'rsa', hash, identifier: encodeSequence(encodeOid(dotted), encodeNull()) };
}

const definitions: Readonly<Record<SignatureAlgorithm, Definition>> = {
  'ecdsa-sha256': /* @__PURE__ */ ecdsa('SHA-256', oid.ecdsaWithSha256),
  'ecdsa-sha384': /* @__PURE__ */ ecdsa('SHA-384', oid.ecdsaWithSha384),
  'ecdsa-sha512': /* @__PURE__ */ ecdsa('SHA-512', oid.ecdsaWithSha512),
  'rsa-sha256': /* @__PURE__ */ rsa('SHA-256', oid.sha256WithRsaEncryption),
  'rsa-sha384': /* @__PURE__ */ rsa('SHA-384', oid.sha384WithRsaEncryption),
  'rsa-sha512': /* @__PURE__ */ rsa('SHA-512', oid.sha512WithRsaEncryption),
};

const names: readonly SignatureAlgorithm[] = [
  'ecdsa-sha256',
  'ecdsa-sha384',
  'ecdsa-sha512',
  'rsa-sha256',
  'rsa-sha384',
  'rsa-sha512',
];

/** The algorithm that a key of this kind signs with when the choice is ours (RFC 7518 §3.1). */
export function signatureAlgorithmOf(kind: KeyKind): SignatureAlgorithm {
  switch (kind) {
    case 'ec-p256':
      return 'ecdsa-sha256';
    case 'ec-p384':
      return 'ecdsa-sha384';
    case 'rsa':
      return 'rsa-sha256';
  }
}

export function hashOf(algorithm: SignatureAlgorithm): SignatureHash {
  return definitions[algorithm].hash;
}

/** Whether a key of this kind can have made a signature of this algorithm. */
export function fitsKey(algorithm: SignatureAlgorithm, kind: KeyKind): boolean {
  return (definitions[algorithm].family === 'rsa') === (kind === 'rsa');
}

/** AlgorithmIdentifier in DER. */
export function encodeSignatureAlgorithm(algorithm: SignatureAlgorithm): Bytes {
  return definitions[algorithm].identifier;
}

/** The next element as one of the allowed algorithms, parameters included, byte for byte. */
export function readSignatureAlgorithm(reader: DerReader, what: string): SignatureAlgorithm {
  const identifier = reader.element(tag.sequence, what);
  for (const name of names) {
    if (equalBytes(definitions[name].identifier, identifier)) return name;
  }
  throw new X509Error('signature_algorithm_not_allowed', `${what}: not on the list`);
}
