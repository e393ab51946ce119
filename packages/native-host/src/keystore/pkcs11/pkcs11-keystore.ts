import { createHash } from 'node:crypto';
import { fail, type Result, succeed } from '../../result.ts';
import type { KeyStore, KeyStoreReason } from '../keystore.ts';
import type { Cryptoki } from './cryptoki.ts';
import { CKM } from './cryptoki-values.ts';
import { KeyStoreError } from './key-store-error.ts';
import {
  checkMechanisms,
  destroyAt,
  findPrivateKey,
  generateKey,
  type KeyPlace,
  putCertificate,
  readCertificates,
  readSpki,
} from './token-objects.ts';
import { ensureTokenScope, readTokenScope } from './token-scope.ts';
import type { TokenSettings } from './token-settings.ts';
import { type OpenToken, useToken } from './use-token.ts';

export type Pkcs11KeyStoreInput = {
  readonly settings: TokenSettings;
  readonly stateDirectory: string;
  readonly loadCryptoki: (path: string) => Promise<Result<Cryptoki, KeyStoreReason>>;
};

const signatureBytes = 64;

/**
 * The private key in a PKCS#11 token, where it was made and cannot be taken out. What that is worth is the token's:
 * of a module the host cannot tell whether there is hardware behind it, so protection is `pkcs11` and nothing better.
 * Every use opens the module, logs in, and closes it again.
 */
export class Pkcs11KeyStore implements KeyStore {
  readonly protection = 'pkcs11';
  readonly #input: Pkcs11KeyStoreInput;
  readonly #keyId: string | undefined;

  /** `keyId`: as in `KeyStores`. */
  constructor(input: Pkcs11KeyStoreInput, keyId?: string) {
    this.#input = input;
    this.#keyId = keyId;
  }

  async ensureKey(): Promise<Result<Uint8Array, KeyStoreReason>> {
    const scope = ensureTokenScope(this.#input.stateDirectory);
    if (!scope.ok) return scope;
    const existing = await this.publicKeySpki();
    if (existing.ok || existing.reason !== 'key_missing') return existing;
    return this.#use(true, (token, place) => {
      // Another process may have been first.
      if (findPrivateKey(token, place) === undefined) generateKey(token, place);
      return readSpki(token, place);
    });
  }

  async publicKeySpki(): Promise<Result<Uint8Array, KeyStoreReason>> {
    return this.#use(false, (token, place) => {
      requirePrivateKey(token, place);
      return readSpki(token, place);
    });
  }

  async sign(data: Uint8Array): Promise<Result<Uint8Array, KeyStoreReason>> {
    return this.#use(false, (token, place) => {
      const key = requirePrivateKey(token, place);
      checkMechanisms(token, false);
      const hash = createHash('sha256').update(data).digest();
      const signature = token.cryptoki.sign(token.session, CKM.ECDSA, key, hash);
      if (signature.length === signatureBytes) return signature;
      throw new KeyStoreError(
        'keystore_module_failed',
        `keystore.module: a signature of ${signature.length} bytes, where P-256 has ${signatureBytes}`,
      );
    });
  }

  async keepCertificate(certificate: Uint8Array): Promise<Result<undefined, KeyStoreReason>> {
    const kept = await this.findCertificate();
    if (!kept.ok) return kept;
    if (kept.value !== undefined && Buffer.from(kept.value).equals(certificate)) {
      return succeed(undefined);
    }
    return this.#use(true, (token, place) => {
      requirePrivateKey(token, place);
      putCertificate(token, place, certificate);
      return undefined;
    });
  }

  async findCertificate(): Promise<Result<Uint8Array | undefined, KeyStoreReason>> {
    return this.#use(false, (token, place) => {
      const [certificate, ...more] = readCertificates(token, place);
      return more.length === 0 ? certificate?.der : undefined;
    });
  }

  async delete(): Promise<Result<undefined, KeyStoreReason>> {
    const scope = readTokenScope(this.#input.stateDirectory);
    if (scope.ok && scope.value === undefined) return succeed(undefined);
    return this.#use(true, (token, place) => {
      destroyAt(token, place);
      return undefined;
    });
  }

  async #use<Value>(
    mayWrite: boolean,
    action: (token: OpenToken, place: KeyPlace) => Value,
  ): Promise<Result<Value, KeyStoreReason>> {
    const { settings, stateDirectory, loadCryptoki } = this.#input;
    const scope = readTokenScope(stateDirectory);
    if (!scope.ok) return scope;
    if (scope.value === undefined) {
      return fail('key_missing', `${stateDirectory} knows of no key on a token`);
    }
    const cryptoki = await loadCryptoki(settings.module);
    if (!cryptoki.ok) return cryptoki;
    const place = { scope: scope.value, id: scope.value.idOf(this.#keyId) };
    return useToken({ cryptoki: cryptoki.value, settings, stateDirectory, mayWrite }, (token) =>
      action(token, place),
    );
  }
}

function requirePrivateKey(token: OpenToken, place: KeyPlace) {
  const key = findPrivateKey(token, place);
  if (key !== undefined) return key;
  const name = Buffer.from(place.id).toString('hex');
  throw new KeyStoreError('key_missing', `the token has no private key with CKA_ID ${name}`);
}
