import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { calculateJwkThumbprint } from 'jose';

/**
 * The broker's private keys, from its data folder: for tests that need what only the broker could have signed, such as
 * a challenge that expired yesterday.
 */
export type BrokerKeyName =
  | 'root'
  | 'issuer'
  | 'key-set-signer'
  | 'challenge'
  | 'decision'
  | 'response';

export function readBrokerKey(dataDirectory: string, name: BrokerKeyName): KeyObject {
  return createPrivateKey(readFileSync(join(dataDirectory, 'keys', `${name}.pem`)));
}

export function readBrokerCertificate(
  dataDirectory: string,
  name: 'root' | 'issuer' | 'key-set-signer',
): X509Certificate {
  return new X509Certificate(readFileSync(join(dataDirectory, 'certificates', `${name}.pem`)));
}

/** RFC 7638 thumbprint of the public half: the `kid` of everything signed with the key. */
export async function keyIdOf(privateKey: KeyObject): Promise<string> {
  return await calculateJwkThumbprint(createPublicKey(privateKey).export({ format: 'jwk' }));
}
