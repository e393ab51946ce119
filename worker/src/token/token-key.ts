import { encodeBase64url } from '@countersign/protocol';
import type { p256PublicJwk } from '@countersign/protocol/schemas';
import type * as z from 'zod/mini';

export type P256PublicJwk = z.infer<typeof p256PublicJwk>;

/** One of the broker's token keys: for challenges, mTLS evidence, decisions, or decryption. Never shared between them. */
export type TokenKey = {
  /** RFC 7638 thumbprint. */
  readonly kid: string;
  readonly publicJwk: P256PublicJwk;
  /** Non-extractable. */
  readonly privateKey: CryptoKey;
};

/** The public half of a signing key. */
export type VerificationKey = {
  /** RFC 7638 thumbprint. */
  readonly kid: string;
  readonly publicJwk: P256PublicJwk;
  readonly publicKey: CryptoKey;
};

/** The keys of one purpose: one signs; what the others have signed, or will, is accepted too. */
export type SigningKeys = {
  readonly active: TokenKey;
  /** By kid, the active one among them. */
  readonly accepted: ReadonlyMap<string, VerificationKey>;
};

/** The key that a token's header names, when it is one of these. */
export function findKey(
  keys: SigningKeys['accepted'],
  unverifiedKid: unknown,
): VerificationKey | undefined {
  return typeof unverifiedKid === 'string' ? keys.get(unverifiedKid) : undefined;
}

/** RFC 7638 thumbprint of a P-256 public key. */
export async function thumbprint(jwk: P256PublicJwk): Promise<string> {
  const canonical = JSON.stringify({ crv: jwk.crv, kty: jwk.kty, x: jwk.x, y: jwk.y });
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(canonical));
  return encodeBase64url(new Uint8Array(digest));
}
