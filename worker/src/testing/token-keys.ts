import { p256PublicJwk } from '@countersign/protocol/schemas';
import { exportJWK } from 'jose';
import { type SigningKeys, type TokenKey, thumbprint } from '../token/token-key.ts';

export async function tokenKeyOf({ privateKey, publicKey }: CryptoKeyPair): Promise<TokenKey> {
  const publicJwk = p256PublicJwk.parse(await exportJWK(publicKey));
  return { kid: await thumbprint(publicJwk), publicJwk, privateKey };
}

/** The keys of one purpose: the first one signs, all of them verify. */
export async function signingKeysOf(
  first: CryptoKeyPair,
  ...others: readonly CryptoKeyPair[]
): Promise<SigningKeys> {
  const keys = await Promise.all(
    [first, ...others].map(async (pair) => ({
      ...(await tokenKeyOf(pair)),
      publicKey: pair.publicKey,
    })),
  );
  const verification = keys.map(({ kid, publicJwk, publicKey }) => ({ kid, publicJwk, publicKey }));
  return {
    active: await tokenKeyOf(first),
    accepted: new Map(verification.map((key) => [key.kid, key])),
  };
}
