import { createHash } from 'node:crypto';
import { encodeBase64url } from '@countersign/protocol';
import { type ChallengeClaims, challengeTyp } from '@countersign/protocol/challenge';
import { challengeTtlSeconds } from '@countersign/protocol/limits';
import { encodeHeader, signCompactJws } from '../token/compact-jws.ts';
import type { SigningKeys, TokenKey } from '../token/token-key.ts';
import type { IssuedChallenges } from './issued-challenges.ts';

/** What the broker signs challenges with and says about itself in them. */
export type ChallengeIssuer = {
  readonly brokerUrl: string;
  readonly organizationId: string;
  readonly challengeKeys: SigningKeys;
  readonly responseKeys: readonly TokenKey[];
  readonly issuedChallenges?: IssuedChallenges;
};

export type ChallengeInput = {
  readonly clientId: string;
  readonly transaction: string;
  readonly origins: readonly string[];
};

/** SHA-256 of the transaction's text, base64url: what binds a challenge to one sign-in. */
export function hashTransaction(transaction: string): string {
  return createHash('sha256').update(transaction, 'utf8').digest('base64url');
}

/**
 * Makes a challenge for one sign-in transaction. Nothing is stored until it is answered.
 *
 * @returns compact JWS of `ChallengeClaims`
 */
export async function issueChallenge(
  issuer: ChallengeIssuer,
  input: ChallengeInput,
  nowMs: number,
): Promise<string> {
  const iat = Math.floor(nowMs / 1000);
  const { active } = issuer.challengeKeys;
  const [offered] = issuer.responseKeys;
  if (offered === undefined) throw new TypeError('settings always hold a response key');
  const claims: ChallengeClaims = {
    iss: issuer.brokerUrl,
    aud: issuer.organizationId,
    jti: encodeBase64url(crypto.getRandomValues(new Uint8Array(16))),
    iat,
    exp: iat + challengeTtlSeconds,
    client_id: input.clientId,
    transaction_hash: hashTransaction(input.transaction),
    origins: [...input.origins],
    response_encryption: { kid: offered.kid, jwk: offered.publicJwk },
  };
  const header = encodeHeader(challengeTyp, active.kid);
  const challenge = await signCompactJws(header, claims, active.privateKey);
  issuer.issuedChallenges?.remember(challenge, claims);
  return challenge;
}
