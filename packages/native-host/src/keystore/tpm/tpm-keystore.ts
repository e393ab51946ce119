import { createHash } from 'node:crypto';
import { type Result, succeed } from '../../result.ts';
import type { KeyStore, KeyStoreReason } from '../keystore.ts';
import { hierarchy, type KeyBlob, type LoadedKey, type Tpm } from './tpm.ts';
import { responseCodes, TpmError } from './tpm-error.ts';
import { keepTpmKey, readTpmKey, removeTpmKey, tpmKeyPath } from './tpm-key-file.ts';
import type { TpmSettings } from './tpm-settings.ts';
import { deviceKey, storageKey } from './tpm-templates.ts';
import { rawSignature, spkiOfPublicArea } from './tpm-values.ts';
import { useTpm } from './use-tpm.ts';

export type TpmKeyStoreInput = {
  readonly settings: TpmSettings;
  /** Absolute path; made on first use, mode 0700. */
  readonly stateDirectory: string;
};

/**
 * The private key in a TPM 2.0, made there and `fixedTPM`: it cannot be taken out, not even by the TPM's owner. The TPM
 * has no room for keys; it gives each out encrypted for itself alone, to a file in the state folder, and takes it in
 * again for each use. So nothing of it stays in the TPM, and whoever copies the file has nothing without the TPM.
 */
export class TpmKeyStore implements KeyStore {
  readonly protection = 'tpm';
  readonly #input: TpmKeyStoreInput;
  readonly #path: string;

  /** `keyId`: as in `KeyStores`. */
  constructor(input: TpmKeyStoreInput, keyId?: string) {
    this.#input = input;
    this.#path = tpmKeyPath(input.stateDirectory, keyId);
  }

  async ensureKey(): Promise<Result<Uint8Array, KeyStoreReason>> {
    const existing = await this.publicKeySpki();
    if (existing.ok || existing.reason !== 'key_missing') return existing;
    const made = await useTpm(this.#input.settings, async (tpm) => {
      const storage = await tpm.createPrimary(hierarchy.owner, storageKey);
      return await tpm.create(storage, deviceKey);
    });
    if (!made.ok) return made;
    const kept = keepTpmKey(this.#input.stateDirectory, this.#path, made.value);
    return kept.ok ? this.publicKeySpki() : kept;
  }

  async publicKeySpki(): Promise<Result<Uint8Array, KeyStoreReason>> {
    return await this.withKey(async (_, key) => spkiOfPublicArea(key.publicArea));
  }

  async sign(data: Uint8Array): Promise<Result<Uint8Array, KeyStoreReason>> {
    const digest = createHash('sha256').update(data).digest();
    return await this.withKey(async (tpm, key) => rawSignature(await tpm.sign(key, digest)));
  }

  /** The enrollment holds it. */
  async keepCertificate(): Promise<Result<undefined, KeyStoreReason>> {
    return succeed(undefined);
  }

  async findCertificate(): Promise<Result<undefined, KeyStoreReason>> {
    return succeed(undefined);
  }

  async delete(): Promise<Result<undefined, KeyStoreReason>> {
    return removeTpmKey(this.#path);
  }

  /** Has the TPM take the key in and gives it to `action`, with room for two more. */
  async withKey<Value>(
    action: (tpm: Tpm, key: LoadedKey) => Promise<Value>,
  ): Promise<Result<Value, KeyStoreReason>> {
    const blob = readTpmKey(this.#path);
    if (!blob.ok) return blob;
    return await useTpm(this.#input.settings, async (tpm) => {
      const key = await loadUnderStorageKey(tpm, blob.value, this.#path);
      return await action(tpm, key);
    });
  }
}

/** What a TPM says of a key that another has made, or that was changed since. */
const notItsKey: readonly (number | undefined)[] = [
  responseCodes.integrity,
  responseCodes.size,
  responseCodes.value,
  responseCodes.type,
  responseCodes.attributes,
  responseCodes.insufficient,
];

/** @param from what to name when the TPM does not know the key */
export async function loadUnderStorageKey(
  tpm: Tpm,
  blob: KeyBlob,
  from: string,
): Promise<LoadedKey> {
  const storage = await tpm.createPrimary(hierarchy.owner, storageKey);
  try {
    return await tpm.load(storage, blob);
  } catch (error) {
    if (!(error instanceof TpmError) || !notItsKey.includes(error.responseCode)) throw error;
    throw new TpmError(
      'key_damaged',
      `${from} holds a key of another TPM, this one was cleared since, or the file is damaged`,
    );
  } finally {
    await tpm.flush(storage);
  }
}
