import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';
import { join } from 'node:path';
import { decodeBase64url, encodeBase64url } from '@countersign/protocol';
import { base64urlBetween, base64urlOf, parseFields } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';
import { fail, type Result, succeed } from '../result.ts';
import {
  ensurePrivateFolder,
  type PrivateFileReason,
  readPrivateFile,
  removePrivateFile,
  writePrivateFile,
} from '../state/private-file.ts';
import { parseStrictJsonBytes } from '../strict-json.ts';
import type { KeyStore, KeyStoreReason } from './keystore.ts';

const wrappingKeyBytes = 32;
const ivBytes = 12;
const tagBytes = 16;
const maxFileBytes = 4096;

const wrappedKeyFile = z.strictObject({
  version: z.literal(1),
  algorithm: z.literal('ES256'),
  /** SubjectPublicKeyInfo, DER. */
  public_key: base64urlBetween(1, 1024),
  iv: base64urlOf(ivBytes),
  /** PKCS#8, DER, under AES-256-GCM. */
  ciphertext: base64urlBetween(1, 1024),
  tag: base64urlOf(tagBytes),
});

/** The files of any key, and what is left of a write that was cut off; the key id is the first group. */
export const keyFileName =
  /^(?:device-key|wrapping)(?:-([0-9a-f]{16}))?\.(?:json|key)(?:\.[0-9a-f]+\.tmp)?$/;

type LoadedKey = { readonly privateKey: KeyObject; readonly spki: Uint8Array };

/**
 * The private key in a file, encrypted under a key in a file of its own. Against somebody who can read both files, as
 * every process of the same user can, this protects nothing; it keeps the key out of what only one of them reaches,
 * such as a backup or a file sent to support, and it notices damage. Certificates say so: protection is `file`.
 */
export class FileKeyStore implements KeyStore {
  readonly protection = 'file';
  readonly #folder: string;
  readonly #wrappedKeyPath: string;
  readonly #wrappingKeyPath: string;

  /** `folder`: absolute path; made on first use, mode 0700. `keyId`: as in `KeyStores`. */
  constructor(folder: string, keyId?: string) {
    const suffix = keyId === undefined ? '' : `-${keyId}`;
    this.#folder = folder;
    this.#wrappedKeyPath = join(folder, `device-key${suffix}.json`);
    this.#wrappingKeyPath = join(folder, `wrapping${suffix}.key`);
  }

  async ensureKey(): Promise<Result<Uint8Array, KeyStoreReason>> {
    const existing = await this.publicKeySpki();
    if (existing.ok || existing.reason !== 'key_missing') return existing;
    const made = this.#makeKey();
    return made.ok ? this.publicKeySpki() : made;
  }

  async publicKeySpki(): Promise<Result<Uint8Array, KeyStoreReason>> {
    const key = this.#load();
    return key.ok ? succeed(key.value.spki) : key;
  }

  async sign(data: Uint8Array): Promise<Result<Uint8Array, KeyStoreReason>> {
    const key = this.#load();
    if (!key.ok) return key;
    return succeed(sign('sha256', data, { key: key.value.privateKey, dsaEncoding: 'ieee-p1363' }));
  }

  /** The enrollment holds it. */
  async keepCertificate(): Promise<Result<undefined, KeyStoreReason>> {
    return succeed(undefined);
  }

  async findCertificate(): Promise<Result<undefined, KeyStoreReason>> {
    return succeed(undefined);
  }

  async delete(): Promise<Result<undefined, KeyStoreReason>> {
    // The wrapped key first: without it the wrapping key opens nothing.
    for (const path of [this.#wrappedKeyPath, this.#wrappingKeyPath]) {
      const removed = removePrivateFile(path);
      if (!removed.ok) return keyStoreFailure(removed);
    }
    return succeed(undefined);
  }

  #makeKey(): Result<undefined, KeyStoreReason> {
    const folder = ensurePrivateFolder(this.#folder);
    if (!folder.ok) return keyStoreFailure(folder);
    // Two processes may do this at the same time: the first file of each name stays, and both go on with it.
    const kept = writePrivateFile(this.#wrappingKeyPath, randomBytes(wrappingKeyBytes), {
      keepExisting: true,
    });
    if (!kept.ok) return keyStoreFailure(kept);
    const wrappingKey = this.#readWrappingKey();
    if (!wrappingKey.ok) return wrappingKey;
    const written = writePrivateFile(this.#wrappedKeyPath, wrapNewKey(wrappingKey.value), {
      keepExisting: true,
    });
    return written.ok ? succeed(undefined) : keyStoreFailure(written);
  }

  #readWrappingKey(): Result<Uint8Array, KeyStoreReason> {
    const bytes = readPrivateFile(this.#wrappingKeyPath, maxFileBytes);
    if (!bytes.ok) {
      return bytes.reason === 'missing'
        ? fail(
            'key_damaged',
            `${this.#wrappingKeyPath} is gone, and the key does not open without it`,
          )
        : keyStoreFailure(bytes);
    }
    return bytes.value.length === wrappingKeyBytes
      ? bytes
      : fail('key_damaged', `${this.#wrappingKeyPath} does not hold ${wrappingKeyBytes} bytes`);
  }

  #load(): Result<LoadedKey, KeyStoreReason> {
    const bytes = readPrivateFile(this.#wrappedKeyPath, maxFileBytes);
    if (!bytes.ok) return keyStoreFailure(bytes);
    const json = parseStrictJsonBytes(bytes.value);
    if (!json.ok) return fail('key_damaged', `${this.#wrappedKeyPath} ${json.detail}`);
    const file = parseFields(wrappedKeyFile, json.value);
    if (!file.ok) {
      return fail('key_damaged', `${this.#wrappedKeyPath}: ${file.field} ${file.detail}`);
    }
    const wrappingKey = this.#readWrappingKey();
    if (!wrappingKey.ok) return wrappingKey;
    const key = unwrapKey(file.value, wrappingKey.value);
    return key === undefined
      ? fail('key_damaged', `${this.#wrappedKeyPath} does not open with ${this.#wrappingKeyPath}`)
      : succeed(key);
  }
}

function wrapNewKey(wrappingKey: Uint8Array): Uint8Array {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  const iv = randomBytes(ivBytes);
  const cipher = createCipheriv('aes-256-gcm', wrappingKey, iv);
  cipher.setAAD(authenticatedData(spki));
  const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' });
  const ciphertext = Buffer.concat([cipher.update(pkcs8), cipher.final()]);
  const file: z.infer<typeof wrappedKeyFile> = {
    version: 1,
    algorithm: 'ES256',
    public_key: encodeBase64url(spki),
    iv: encodeBase64url(iv),
    ciphertext: encodeBase64url(ciphertext),
    tag: encodeBase64url(cipher.getAuthTag()),
  };
  return Buffer.from(`${JSON.stringify(file, undefined, 2)}\n`);
}

function unwrapKey(
  file: z.infer<typeof wrappedKeyFile>,
  wrappingKey: Uint8Array,
): LoadedKey | undefined {
  const [spki, iv, ciphertext, tag] = [file.public_key, file.iv, file.ciphertext, file.tag].map(
    decodeBase64url,
  );
  if (!spki || !iv || !ciphertext || !tag) return undefined;
  try {
    const decipher = createDecipheriv('aes-256-gcm', wrappingKey, iv, { authTagLength: tagBytes });
    decipher.setAAD(authenticatedData(spki));
    decipher.setAuthTag(tag);
    const pkcs8 = Buffer.concat([decipher.update(ciphertext), decipher.final()]);
    return { privateKey: createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }), spki };
  } catch {
    return undefined;
  }
}

/** Ties the public key beside the ciphertext to it. */
function authenticatedData(spki: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from('countersign device key 1\0'), spki]);
}

export function keyStoreFailure(failure: { reason: PrivateFileReason; detail: string }) {
  const reasons = {
    missing: 'key_missing',
    exposed: 'key_exposed',
    unavailable: 'store_unavailable',
    too_large: 'key_damaged',
  } as const satisfies Record<PrivateFileReason, KeyStoreReason>;
  return fail<KeyStoreReason>(reasons[failure.reason], failure.detail);
}
