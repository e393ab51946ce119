import { encodeBase64url } from '@countersign/protocol';
import { type Attribute, algorithm, attribute, curve, knownAttributes } from './tpm-constants.ts';
import {
  attempt,
  concatBytes,
  TpmFormatError,
  TpmReader,
  type TpmResult,
  uint16Bytes,
} from './tpm-reader.ts';

/** The hash that names an object and derives keys for it. */
export type NameHash = 'SHA-256' | 'SHA-384';

export type TpmKey =
  | { readonly kind: 'rsa'; readonly modulus: Uint8Array<ArrayBuffer> }
  | {
      readonly kind: 'P-256' | 'P-384';
      /** As long as the field's elements. */
      readonly x: Uint8Array<ArrayBuffer>;
      readonly y: Uint8Array<ArrayBuffer>;
    };

/** The public area of a key in a TPM, as read: well-formed, and nothing more. */
export type PublicArea = {
  /** TPMT_PUBLIC, from which the name follows. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly nameHash: NameHash;
  /** TPMA_OBJECT. */
  readonly attributes: number;
  /** AES in CFB mode, for keys that protect others; `undefined` for TPM_ALG_NULL. */
  readonly symmetricBits: number | undefined;
  /** `undefined` for TPM_ALG_NULL. */
  readonly scheme: { readonly algorithm: number; readonly hash: number | undefined } | undefined;
  readonly key: TpmKey;
};

const maxPublicAreaBytes = 1024;
const maxPolicyBytes = 64;
const defaultExponent = 65_537;

const nameHashes: ReadonlyMap<number, NameHash> = new Map([
  [algorithm.sha256, 'SHA-256'],
  [algorithm.sha384, 'SHA-384'],
]);
const nameAlgorithms = { 'SHA-256': algorithm.sha256, 'SHA-384': algorithm.sha384 } as const;

/** Parses a TPMT_PUBLIC (TPM 2.0 Library, part 2 section 12.2.4) of an RSA key, or one on P-256 or P-384. */
export function parsePublicArea(bytes: Uint8Array): TpmResult<PublicArea> {
  return attempt(() => {
    if (bytes.length > maxPublicAreaBytes) throw new TpmFormatError('public area: too large');
    const reader = new TpmReader(bytes);
    const type = reader.uint16('type');
    const nameHash = nameHashes.get(reader.uint16('nameAlg'));
    if (nameHash === undefined) throw new TpmFormatError('nameAlg: neither SHA-256 nor SHA-384');
    const attributes = reader.uint32('objectAttributes');
    if ((attributes & ~knownAttributes) !== 0) {
      throw new TpmFormatError('objectAttributes: a bit without a meaning');
    }
    reader.sized(maxPolicyBytes, 'authPolicy');
    if (type !== algorithm.rsa && type !== algorithm.ecc) {
      throw new TpmFormatError('type: neither RSA nor ECC');
    }
    const symmetricBits = readSymmetric(reader);
    const scheme = readScheme(reader, type);
    const key = type === algorithm.rsa ? readRsaKey(reader) : readEccKey(reader);
    reader.finish('public area');
    return { bytes: new Uint8Array(bytes), nameHash, attributes, symmetricBits, scheme, key };
  });
}

/** TPMT_SYM_DEF_OBJECT. */
function readSymmetric(reader: TpmReader): number | undefined {
  const name = reader.uint16('symmetric');
  if (name === algorithm.null) return undefined;
  const bits = reader.uint16('symmetric keyBits');
  const mode = reader.uint16('symmetric mode');
  if (name !== algorithm.aes || mode !== algorithm.cfb || (bits !== 128 && bits !== 256)) {
    throw new TpmFormatError('symmetric: not AES-128 or AES-256 in CFB mode');
  }
  return bits;
}

const schemesWithHash: Readonly<Record<number, readonly number[]>> = {
  [algorithm.rsa]: [algorithm.rsassa, algorithm.rsapss, algorithm.oaep],
  [algorithm.ecc]: [algorithm.ecdsa, algorithm.ecdh, algorithm.sm2, algorithm.ecschnorr],
};

/** TPMT_RSA_SCHEME, TPMT_ECC_SCHEME. */
function readScheme(reader: TpmReader, type: number): PublicArea['scheme'] {
  const name = reader.uint16('scheme');
  if (name === algorithm.null) return undefined;
  if (type === algorithm.rsa && name === algorithm.rsaes)
    return { algorithm: name, hash: undefined };
  if (schemesWithHash[type]?.includes(name) !== true) throw new TpmFormatError('scheme: not known');
  return { algorithm: name, hash: reader.uint16('scheme hash') };
}

function readRsaKey(reader: TpmReader): TpmKey {
  const bits = reader.uint16('keyBits');
  const exponent = reader.uint32('exponent');
  const modulus = reader.sized(512, 'modulus');
  if (exponent !== 0 && exponent !== defaultExponent) {
    throw new TpmFormatError('exponent: not 65537');
  }
  if (bits < 2048 || bits % 8 !== 0 || modulus.length !== bits / 8 || (modulus[0] ?? 0) < 0x80) {
    throw new TpmFormatError('modulus: not of keyBits, or below 2048 bits');
  }
  return { kind: 'rsa', modulus };
}

function readEccKey(reader: TpmReader): TpmKey {
  const curveId = reader.uint16('curveID');
  if (curveId !== curve.p256 && curveId !== curve.p384) {
    throw new TpmFormatError('curveID: neither P-256 nor P-384');
  }
  if (reader.uint16('kdf') !== algorithm.null) throw new TpmFormatError('kdf: not TPM_ALG_NULL');
  const kind = curveId === curve.p256 ? 'P-256' : 'P-384';
  const length = kind === 'P-256' ? 32 : 48;
  return { kind, x: readCoordinate(reader, length, 'x'), y: readCoordinate(reader, length, 'y') };
}

/** Some TPMs leave leading zeros out. */
function readCoordinate(reader: TpmReader, length: number, what: string) {
  const value = reader.sized(length, what);
  if (value.length === 0) throw new TpmFormatError(`${what}: empty`);
  return concatBytes(new Uint8Array(length - value.length), value);
}

/** Whether the area has all of these attributes, and none of those. */
export function hasAttributes(
  { attributes }: PublicArea,
  needed: readonly Attribute[],
  forbidden: readonly Attribute[],
): boolean {
  return (
    needed.every((name) => (attributes & attribute[name]) !== 0) &&
    forbidden.every((name) => (attributes & attribute[name]) === 0)
  );
}

/** The object's name (part 1 section 16): no other public area has it. */
export async function nameOf({ bytes, nameHash }: PublicArea): Promise<Uint8Array<ArrayBuffer>> {
  const digest = await crypto.subtle.digest(nameHash, bytes);
  return concatBytes(uint16Bytes(nameAlgorithms[nameHash]), new Uint8Array(digest));
}

/** The key as SubjectPublicKeyInfo, DER; `undefined` for a point that is not on its curve. */
export async function spkiOf(key: TpmKey): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    const imported =
      key.kind === 'rsa'
        ? await crypto.subtle.importKey(
            'jwk',
            { kty: 'RSA', n: encodeBase64url(key.modulus), e: 'AQAB' },
            { name: 'RSA-OAEP', hash: 'SHA-256' },
            true,
            ['encrypt'],
          )
        : await crypto.subtle.importKey(
            'raw',
            concatBytes(new Uint8Array([4]), key.x, key.y),
            { name: 'ECDH', namedCurve: key.kind },
            true,
            [],
          );
    const spki = await crypto.subtle.exportKey('spki', imported);
    return spki instanceof ArrayBuffer ? new Uint8Array(spki) : undefined;
  } catch {
    return undefined;
  }
}
