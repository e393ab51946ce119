import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { readFileSync } from 'node:fs';
import { p256PublicJwk } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';
import { EdgeServerError, errorText } from '../edge-server-error.ts';

export type P256PublicJwk = z.infer<typeof p256PublicJwk>;

/** A new P-256 key, as PKCS#8 PEM: the form that workerd's key bindings take. */
export function newP256Key(): { readonly privateKey: KeyObject; readonly pem: string } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { privateKey, pem: privateKey.export({ format: 'pem', type: 'pkcs8' }) };
}

/** @throws EdgeServerError `data_directory_unusable` when the file does not hold a P-256 private key */
export function readP256Key(path: string): KeyObject {
  const unusable = (why: string) =>
    new EdgeServerError(
      'data_directory_unusable',
      `${path} does not hold a P-256 private key (${why}). Restore it from a backup.`,
    );
  let key: KeyObject;
  try {
    key = createPrivateKey(readFileSync(path));
  } catch (error) {
    throw unusable(errorText(error));
  }
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw unusable(`it is ${key.asymmetricKeyType ?? 'another kind'}`);
  }
  return key;
}

/** The public half, with the members that RFC 7638 hashes and no others. */
export function publicJwkOf(key: KeyObject): P256PublicJwk {
  return z.parse(p256PublicJwk, createPublicKey(key).export({ format: 'jwk' }));
}
