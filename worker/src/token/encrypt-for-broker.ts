import { createCipheriv } from 'node:crypto';
import { encodeBase64url } from '@countersign/protocol';
import {
  responseContentEncryption,
  responseKeyManagement,
} from '@countersign/protocol/device-response';
import { agreeOnContentKey } from './ecdh-es.ts';
import type { TokenKey } from './token-key.ts';

const encoder = new TextEncoder();

async function newKeyPair(): Promise<CryptoKeyPair> {
  const algorithm = { name: 'ECDH', namedCurve: 'P-256' };
  const keys = await crypto.subtle.generateKey(algorithm, true, ['deriveBits']);
  if (!('privateKey' in keys)) throw new TypeError('a key pair was asked for');
  return keys;
}

async function publicJwkOf(key: CryptoKey) {
  const jwk = await crypto.subtle.exportKey('jwk', key);
  if (jwk instanceof ArrayBuffer || jwk.x === undefined || jwk.y === undefined) {
    throw new TypeError('a JWK was asked for');
  }
  return { kty: 'EC', crv: 'P-256', x: jwk.x, y: jwk.y };
}

/**
 * Encrypts what the broker hands out and wants back: nobody in between can read it. A compact JWE of the one form that
 * `decryptResponse` opens (RFC 7516; RFC 7518 sections 4.6 and 5.3).
 */
export async function encryptForBroker(
  plaintext: string,
  recipient: Pick<TokenKey, 'kid' | 'publicJwk'>,
): Promise<string> {
  const ephemeral = await newKeyPair();
  const header = {
    alg: responseKeyManagement,
    enc: responseContentEncryption,
    kid: recipient.kid,
    epk: await publicJwkOf(ephemeral.publicKey),
  };
  const encodedHeader = encodeBase64url(encoder.encode(JSON.stringify(header)));
  const contentKey = await agreeOnContentKey(recipient.publicJwk, ephemeral.privateKey);
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const cipher = createCipheriv('aes-256-gcm', contentKey, iv);
  cipher.setAAD(encoder.encode(encodedHeader));
  const ciphertext = cipher.update(plaintext, 'utf8');
  cipher.final();
  // Direct agreement: the part of the encrypted key is empty.
  const parts = [iv, ciphertext, cipher.getAuthTag()].map((part) =>
    encodeBase64url(new Uint8Array(part)),
  );
  return [encodedHeader, '', ...parts].join('.');
}
