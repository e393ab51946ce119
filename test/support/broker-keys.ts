import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { calculateJwkThumbprint } from 'jose';
import * as z from 'zod/mini';

/**
 * The broker's private keys, from its data folder: for tests that need what only the broker could have signed, such as
 * a challenge that expired yesterday.
 */
export type BrokerKeyName = 'root' | 'issuer' | 'key-set-signer' | TokenKeyName;
type TokenKeyName = 'challenge' | 'mtls-evidence' | 'decision' | 'response' | 'audit';

const inUse = z.object({ in_use: z.object({ kid: z.string() }) });
const tokenKeys = z.object({
  challenge: inUse,
  'mtls-evidence': inUse,
  decision: inUse,
  response: inUse,
  audit: inUse,
});

function isTokenKeyName(name: BrokerKeyName): name is TokenKeyName {
  return name in tokenKeys.shape;
}

/** Of a token key the one in use. */
function fileNameOf(dataDirectory: string, name: BrokerKeyName): string {
  if (!isTokenKeyName(name)) return `${name}.pem`;
  const text = readFileSync(join(dataDirectory, 'token-keys.json'), 'utf8');
  return `${name}-${tokenKeys.parse(JSON.parse(text))[name].in_use.kid}.pem`;
}

export function readBrokerKey(dataDirectory: string, name: BrokerKeyName): KeyObject {
  const path = join(dataDirectory, 'keys', fileNameOf(dataDirectory, name));
  return createPrivateKey(readFileSync(path));
}

export function readBrokerCertificate(
  dataDirectory: string,
  name: 'root' | 'issuer' | `issuer-${number}` | 'key-set-signer',
): X509Certificate {
  return new X509Certificate(readFileSync(join(dataDirectory, 'certificates', `${name}.pem`)));
}

/** RFC 7638 thumbprint of the public half: the `kid` of everything signed with the key. */
export async function keyIdOf(privateKey: KeyObject): Promise<string> {
  return await calculateJwkThumbprint(createPublicKey(privateKey).export({ format: 'jwk' }));
}
