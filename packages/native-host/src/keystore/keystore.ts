import type { DeviceResponseClaims } from '@countersign/protocol/device-response';
import type { Result } from '../result.ts';

export type KeyProtection = DeviceResponseClaims['key_protection'];

export type KeyStoreReason =
  /** There is no key. */
  | 'key_missing'
  /** There is something, and it is not a key that can be used. */
  | 'key_damaged'
  /** Others than the owner may read or change it. */
  | 'key_exposed'
  /** The store cannot be written or read at all. */
  | 'store_unavailable';

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
  /** Removes the key for ever; no failure when there is none. */
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
