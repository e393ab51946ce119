import {
  constants,
  createDecipheriv,
  createHash,
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  sign,
} from 'node:crypto';

/**
 * The keys of a TPM 2.0 in software, marshalled and used as a TPM does, by another library than the broker's. It obeys:
 * what a real one refuses to make or to sign, it makes and signs for whoever tests the broker.
 */

const u16 = (value: number) => Buffer.from([value >> 8, value & 0xff]);
const u32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
export const sized = (bytes: Uint8Array) => Buffer.concat([u16(bytes.length), bytes]);

const alg = {
  rsa: 1,
  aes: 6,
  sha256: 0x0b,
  sha384: 0x0c,
  null: 0x10,
  ecdsa: 0x18,
  ecc: 0x23,
  cfb: 0x43,
};
const none = u16(alg.null);

/** TPMA_OBJECT of the endorsement key of template L-1, of the attestation key and of the device key. */
export const endorsementAttributes = 0x000300b2;
export const attestationAttributes = 0x00050472;
export const deviceAttributes = 0x00040472;

export type PublicAreaOptions = {
  readonly attributes?: number;
  readonly nameAlg?: number;
  /** Symmetric algorithm, DER-less: as it is marshalled. */
  readonly symmetric?: Buffer;
  readonly scheme?: Buffer;
};

export type FakeTpmKey = {
  readonly privateKey: KeyObject;
  /** DER. */
  readonly spki: Buffer;
  /** TPMT_PUBLIC. */
  readonly publicArea: Buffer;
};

export const aesCfb = (bits: number) => Buffer.concat([u16(alg.aes), u16(bits), u16(alg.cfb)]);
export const ecdsaSha256 = Buffer.concat([u16(alg.ecdsa), u16(alg.sha256)]);

export type FakeKeyKind = 'rsa' | 'P-256' | 'P-384';

export function publicAreaOf(publicKey: KeyObject, options: PublicAreaOptions): Buffer {
  const { attributes = 0, symmetric = none, scheme = none } = options;
  const { kty, crv, n = '', x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const [modulus, pointX, pointY] = [n, x, y].map((text) => Buffer.from(text, 'base64url'));
  const isRsa = kty === 'RSA';
  const nameAlg = options.nameAlg ?? (crv === 'P-384' ? alg.sha384 : alg.sha256);
  return Buffer.concat([
    u16(isRsa ? alg.rsa : alg.ecc),
    u16(nameAlg),
    u32(attributes),
    sized(Buffer.alloc(0)),
    symmetric,
    scheme,
    ...(isRsa
      ? [u16((modulus?.length ?? 0) * 8), u32(0), sized(modulus ?? Buffer.alloc(0))]
      : [
          u16(crv === 'P-384' ? 4 : 3),
          none,
          sized(pointX ?? Buffer.alloc(0)),
          sized(pointY ?? Buffer.alloc(0)),
        ]),
  ]);
}

function makeKey(kind: FakeKeyKind, options: PublicAreaOptions): FakeTpmKey {
  const { privateKey, publicKey } =
    kind === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: kind });
  return {
    privateKey,
    spki: publicKey.export({ format: 'der', type: 'spki' }),
    publicArea: publicAreaOf(publicKey, options),
  };
}

export const makeEndorsementKey = (kind: FakeKeyKind, options: PublicAreaOptions = {}) =>
  makeKey(kind, {
    attributes: endorsementAttributes,
    symmetric: aesCfb(kind === 'P-384' ? 256 : 128),
    ...options,
  });
export const makeAttestationKey = (options: PublicAreaOptions = {}, kind: FakeKeyKind = 'P-256') =>
  makeKey(kind, { attributes: attestationAttributes, scheme: ecdsaSha256, ...options });
export const makeDeviceKey = (options: PublicAreaOptions = {}) =>
  makeKey('P-256', { attributes: deviceAttributes, scheme: ecdsaSha256, ...options });

const hashOf = (publicArea: Buffer) =>
  publicArea.readUInt16BE(2) === alg.sha384 ? 'sha384' : 'sha256';

/** The object's name. */
export const fakeName = (publicArea: Buffer) =>
  Buffer.concat([
    publicArea.subarray(2, 4),
    createHash(hashOf(publicArea)).update(publicArea).digest(),
  ]);

export type CertifyOptions = {
  readonly magic?: number;
  readonly type?: number;
  readonly name?: Buffer;
};

/** TPMS_ATTEST, as TPM2_Certify makes it. */
export function certifyInfoOf(
  key: FakeTpmKey,
  qualifyingData: Uint8Array,
  options: CertifyOptions = {},
): Buffer {
  const { magic = 0xff544347, type = 0x8017, name = fakeName(key.publicArea) } = options;
  return Buffer.concat([
    u32(magic),
    u16(type),
    sized(Buffer.alloc(34, 1)),
    sized(qualifyingData),
    // clock, resetCount, restartCount, safe, firmwareVersion
    Buffer.alloc(16, 2),
    Buffer.from([1]),
    Buffer.alloc(8, 3),
    sized(name),
    sized(Buffer.alloc(34, 4)),
  ]);
}

/** TPMT_SIGNATURE of ECDSA with SHA-256. */
export function tpmSignature(key: FakeTpmKey, data: Uint8Array): Buffer {
  const raw = sign('sha256', data, { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
  return Buffer.concat([ecdsaSha256, sized(raw.subarray(0, 32)), sized(raw.subarray(32))]);
}

function kdfa(hash: string, key: Buffer, label: string, context: Buffer, bits: number): Buffer {
  const blocks: Buffer[] = [];
  for (
    let counter = 1;
    blocks.reduce((sum, block) => sum + block.length, 0) * 8 < bits;
    counter++
  ) {
    const input = [u32(counter), Buffer.from(`${label}\0`), context, u32(bits)];
    blocks.push(createHmac(hash, key).update(Buffer.concat(input)).digest());
  }
  return Buffer.concat(blocks).subarray(0, bits / 8);
}

function openSeed(endorsement: FakeTpmKey, encryptedSecret: Buffer): Buffer {
  const hash = hashOf(endorsement.publicArea);
  const { asymmetricKeyType } = endorsement.privateKey;
  if (asymmetricKeyType === 'rsa') {
    return privateDecrypt(
      {
        key: endorsement.privateKey,
        padding: constants.RSA_PKCS1_OAEP_PADDING,
        oaepHash: hash,
        oaepLabel: Buffer.from('IDENTITY\0'),
      },
      encryptedSecret,
    );
  }
  const length = encryptedSecret.readUInt16BE(0);
  const x = encryptedSecret.subarray(2, 2 + length);
  const y = encryptedSecret.subarray(4 + length);
  const own = createPublicKey(endorsement.privateKey).export({ format: 'jwk' });
  const crv = own.crv ?? '';
  const jwk = { kty: 'EC', crv, x: x.toString('base64url'), y: y.toString('base64url') };
  const publicKey = createPublicKey({ key: jwk, format: 'jwk' });
  const shared = diffieHellman({ privateKey: endorsement.privateKey, publicKey });
  const ownX = Buffer.from(own.x ?? '', 'base64url');
  return createHash(hash)
    .update(Buffer.concat([u32(1), shared, Buffer.from('IDENTITY\0'), x, ownX]))
    .digest();
}

/** TPM2_ActivateCredential: the secret, or `undefined` where a TPM would refuse. Both structures with their sizes. */
export function activateCredential(
  endorsement: FakeTpmKey,
  attestationPublic: Buffer,
  credentialBlob: Uint8Array,
  encryptedSecret: Uint8Array,
): Buffer | undefined {
  const hash = hashOf(endorsement.publicArea);
  const name = fakeName(attestationPublic);
  const seed = openSeed(endorsement, Buffer.from(encryptedSecret).subarray(2));
  const identity = Buffer.from(credentialBlob).subarray(2);
  const integrity = identity.subarray(2, 2 + identity.readUInt16BE(0));
  const encrypted = identity.subarray(2 + integrity.length);
  const integrityKey = kdfa(hash, seed, 'INTEGRITY', Buffer.alloc(0), integrity.length * 8);
  const expected = createHmac(hash, integrityKey).update(encrypted).update(name).digest();
  if (!expected.equals(integrity)) return undefined;
  const bits = hash === 'sha384' ? 256 : 128;
  const key = kdfa(hash, seed, 'STORAGE', name, bits);
  const decipher = createDecipheriv(`aes-${bits}-cfb`, key, Buffer.alloc(16));
  const opened = Buffer.concat([decipher.update(encrypted), decipher.final()]);
  return opened.subarray(2, 2 + opened.readUInt16BE(0));
}
