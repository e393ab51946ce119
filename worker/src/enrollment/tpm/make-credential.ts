import {
  deriveByHmac,
  deriveFromPoint,
  digestLength,
  encryptCfb,
  hmac,
  labelBytes,
} from './key-derivation.ts';
import { type PublicArea, spkiOf, type TpmKey } from './public-area.ts';
import { concatBytes, sizedBytes } from './tpm-reader.ts';

export type Credential = {
  /** TPM2B_ID_OBJECT. */
  readonly credentialBlob: Uint8Array<ArrayBuffer>;
  /** TPM2B_ENCRYPTED_SECRET. */
  readonly encryptedSecret: Uint8Array<ArrayBuffer>;
};

const identityLabel = 'IDENTITY';

/**
 * TPM2_MakeCredential (TPM 2.0 Library, part 1 section 24; part 3 section 12.6), by software: `secret` comes out only
 * of a TPM that has this endorsement key and, loaded beside it, the object of this name.
 *
 * @param endorsement of a key that `isEndorsementKey` accepted
 * @param secret no longer than the digest of the endorsement key's name
 * @returns `undefined` for an endorsement key whose point is not on its curve
 */
export async function makeCredential(
  endorsement: PublicArea,
  name: Uint8Array,
  secret: Uint8Array,
): Promise<Credential | undefined> {
  const { nameHash: hash, symmetricBits = 128 } = endorsement;
  const seed = await newSeed(endorsement);
  if (seed === undefined) return undefined;
  const encryptionKey = await deriveByHmac(hash, seed.value, 'STORAGE', name, symmetricBits);
  const encrypted = await encryptCfb(encryptionKey, sizedBytes(secret));
  const nothing = new Uint8Array();
  const integrityBits = digestLength(hash) * 8;
  const integrityKey = await deriveByHmac(hash, seed.value, 'INTEGRITY', nothing, integrityBits);
  const integrity = await hmac(hash, integrityKey, concatBytes(encrypted, name));
  return {
    credentialBlob: sizedBytes(concatBytes(sizedBytes(integrity), encrypted)),
    encryptedSecret: sizedBytes(seed.encrypted),
  };
}

type Seed = {
  readonly value: Uint8Array<ArrayBuffer>;
  /** TPMU_ENCRYPTED_SECRET. */
  readonly encrypted: Uint8Array<ArrayBuffer>;
};

function newSeed(endorsement: PublicArea): Promise<Seed | undefined> {
  const { key } = endorsement;
  return key.kind === 'rsa' ? encryptedSeed(endorsement) : agreedSeed(endorsement, key);
}

/** Part 1 annex B.10.4. */
async function encryptedSeed({ key, nameHash }: PublicArea): Promise<Seed | undefined> {
  const spki = await spkiOf(key);
  if (spki === undefined) return undefined;
  const algorithm = { name: 'RSA-OAEP', hash: nameHash };
  const publicKey = await crypto.subtle.importKey('spki', spki, algorithm, false, ['encrypt']);
  const value = crypto.getRandomValues(new Uint8Array(digestLength(nameHash)));
  const parameters = { name: 'RSA-OAEP', label: labelBytes(identityLabel) };
  const encrypted = await crypto.subtle.encrypt(parameters, publicKey, value);
  return { value, encrypted: new Uint8Array(encrypted) };
}

/** Part 1 annex C.6.4. */
async function agreedSeed(
  { nameHash }: PublicArea,
  key: Extract<TpmKey, { x: unknown }>,
): Promise<Seed | undefined> {
  const algorithm = { name: 'ECDH', namedCurve: key.kind };
  const spki = await spkiOf(key);
  if (spki === undefined) return undefined;
  const publicKey = await crypto.subtle.importKey('spki', spki, algorithm, false, []);
  const ephemeral = await crypto.subtle.generateKey(algorithm, true, ['deriveBits']);
  if (!('privateKey' in ephemeral)) throw new TypeError('a key pair was asked for');
  const point = await crypto.subtle.exportKey('raw', ephemeral.publicKey);
  if (!(point instanceof ArrayBuffer)) throw new TypeError('a point was asked for');
  const length = key.x.length;
  const x = new Uint8Array(point, 1, length);
  const y = new Uint8Array(point, 1 + length, length);
  const shared = await agree(publicKey, ephemeral.privateKey, length * 8);
  const value = await deriveFromPoint(nameHash, shared, identityLabel, x, key.x);
  return { value, encrypted: concatBytes(sizedBytes(x), sizedBytes(y)) };
}

async function agree(publicKey: CryptoKey, privateKey: CryptoKey, bits: number) {
  const shared = await crypto.subtle.deriveBits(
    // workers-types spells this member `$public`; the runtime takes WebCrypto's `public`.
    { name: 'ECDH', public: publicKey } as Parameters<typeof crypto.subtle.deriveBits>[0],
    privateKey,
    bits,
  );
  return new Uint8Array(shared);
}
