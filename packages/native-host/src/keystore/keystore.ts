import type { KeyProtection } from '@countersign/protocol/key-protection';
import type { Result } from '../result.ts';

export type { KeyProtection };

export type KeyStoreReason =
  /** There is no key. */
  | 'key_missing'
  /** There is something, and it is not a key that can be used. */
  | 'key_damaged'
  /** Others than the owner may read or change it, or it may be taken out of its store. */
  | 'key_exposed'
  /** The store cannot be written or read at all. */
  | 'store_unavailable'
  | TokenReason;

/** Why a PKCS#11 token, or a TPM, cannot be used; codes of the `countersign` command too. */
export const tokenReasons = [
  'keystore_module_missing',
  'keystore_module_invalid',
  'keystore_module_failed',
  'keystore_token_missing',
  'keystore_token_ambiguous',
  'keystore_token_unsuitable',
  'keystore_pin_unreadable',
  'keystore_pin_wrong',
  'keystore_pin_locked',
  'keystore_key_ambiguous',
  'keystore_tpm_missing',
  'keystore_tpm_denied',
  'keystore_tpm_locked',
  'keystore_tpm_failed',
  'keystore_tpm_unsuitable',
  'keystore_tpm_endorsement_missing',
] as const;
export type TokenReason = (typeof tokenReasons)[number];

export function isTokenReason(reason: KeyStoreReason): reason is TokenReason {
  return tokenReasons.some((known) => known === reason);
}

/**
 * Where the device's one private key lives: ECDSA P-256, made there, never taken out. The port is this narrow so that
 * a file, an operating system's keystore, a TPM and PKCS#11 can all stand behind it.
 */
export interface KeyStore {
  readonly protection: KeyProtection;
  /** Makes the key; when there is one already, keeps that. Gives the public key (SubjectPublicKeyInfo, DER). */
  ensureKey(): Promise<Result<Uint8Array, KeyStoreReason>>;
  /** SubjectPublicKeyInfo, DER; `key_missing` when no key was made yet. */
  publicKeySpki(): Promise<Result<Uint8Array, KeyStoreReason>>;
  /** ECDSA with SHA-256 over `data`: r and s side by side, 64 bytes. */
  sign(data: Uint8Array): Promise<Result<Uint8Array, KeyStoreReason>>;
  /** Puts the key's certificate (DER) beside it in the place of another, where the store has a place for certificates. */
  keepCertificate(certificate: Uint8Array): Promise<Result<undefined, KeyStoreReason>>;
  /** The certificate beside the key (DER); `undefined` when there is none, or no place for one. */
  findCertificate(): Promise<Result<Uint8Array | undefined, KeyStoreReason>>;
  /** Removes the key, and a certificate beside it, for ever; no failure when there is none. */
  delete(): Promise<Result<undefined, KeyStoreReason>>;
}

/** The keys of one device: one, but for the time in which another takes its place. */
export interface KeyStores {
  /** The key of this id; without one, the device's first key. Makes nothing yet. */
  open(keyId?: string): KeyStore;
  /** Removes every key but this one for ever. */
  removeOthers(keyId?: string): Promise<Result<undefined, KeyStoreReason>>;
  /** Removes every key for ever. */
  removeAll(): Promise<Result<undefined, KeyStoreReason>>;
}
