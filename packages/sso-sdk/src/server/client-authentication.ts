import { encodeBase64url } from '@countersign/protocol';
import { type CryptoKey, importPKCS8, type JWK, SignJWT } from 'jose';
import { CountersignError } from './countersign-error.ts';

/** How the sign-in server proves which client it is. */
export type ClientAuthentication =
  /** The 32 random bytes whose SHA-256 the broker knows, base64url. */
  | { readonly clientSecret: string }
  /** P-256 private key, as a key object, a JWK or PKCS#8 PEM; `keyId` is the `kid` it is registered under. */
  | { readonly privateKey: CryptoKey | JWK | string; readonly keyId: string };

/** Makes the value of the `Authorization` header for one request. */
export type Authorize = () => Promise<string>;

const assertionTtlSeconds = 60;
const printable = /^[\x21-\x7e]+$/;

/** Throws `CountersignError` `options_invalid` for a secret or key that cannot be meant. */
export function authorizeAs(
  clientId: string,
  audience: string,
  authentication: ClientAuthentication,
  now: () => number,
): Authorize {
  if ('clientSecret' in authentication) {
    if (!printable.test(authentication.clientSecret)) {
      throw new CountersignError('options_invalid', {
        field: 'authentication.clientSecret',
        detail: 'must be printable ASCII without spaces or line breaks',
      });
    }
    // RFC 7617; neither a client id nor a base64url secret has a character that RFC 6749 section 2.3.1 would escape.
    const header = `Basic ${btoa(`${clientId}:${authentication.clientSecret}`)}`;
    return async () => header;
  }
  const { keyId, privateKey } = authentication;
  if (!printable.test(keyId)) {
    throw new CountersignError('options_invalid', {
      field: 'authentication.keyId',
      detail: 'must be printable ASCII without spaces or line breaks',
    });
  }
  let importing: Promise<CryptoKey | JWK> | undefined;
  return async () => {
    importing ??= importPrivateKey(privateKey);
    const key = await importing;
    const issuedAt = Math.floor(now() / 1000);
    // RFC 7523 section 3. Every attempt gets its own `jti`, so that a broker that remembers them takes each only once.
    const assertion = new SignJWT()
      .setProtectedHeader({ alg: 'ES256', kid: keyId, typ: 'JWT' })
      .setIssuer(clientId)
      .setSubject(clientId)
      .setAudience(audience)
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + assertionTtlSeconds)
      .setJti(encodeBase64url(crypto.getRandomValues(new Uint8Array(16))));
    try {
      return `Bearer ${await assertion.sign(key)}`;
    } catch (cause) {
      throw privateKeyInvalid(cause);
    }
  };
}

async function importPrivateKey(privateKey: CryptoKey | JWK | string): Promise<CryptoKey | JWK> {
  if (typeof privateKey !== 'string') return privateKey;
  try {
    return await importPKCS8(privateKey, 'ES256');
  } catch (cause) {
    throw privateKeyInvalid(cause);
  }
}

function privateKeyInvalid(cause: unknown): CountersignError {
  return new CountersignError('options_invalid', {
    cause,
    field: 'authentication.privateKey',
    detail: 'must be a P-256 private key that may sign',
  });
}
