import { encodeBase64url } from '@countersign/protocol';
import type { p256PublicJwk } from '@countersign/protocol/schemas';
import type * as z from 'zod/mini';

export type P256PublicJwk = z.infer<typeof p256PublicJwk>;

/** One of the broker's token keys: for challenges, decisions, or the decryption of responses. Never shared between them. */
export type TokenKey = {
  /** RFC 7638 thumbprint. */
  readonly kid: string;
  readonly publicJwk: P256PublicJwk;
  /** Non-extractable. */
  readonly privateKey: CryptoKey;
};

/** RFC 7638 thumbprint of a P-256 public key. */
export async function thumbprint(jwk: P256PublicJwk): Promise<string> {
  const canonical = JSON.stringify({ crv: jwk.crv, kty: jwk.kty, x: jwk.x, y: jwk.y });
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(canonical));
  return encodeBase64url(new Uint8Array(digest));
}
