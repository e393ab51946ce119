import type { VerificationCode } from '@countersign/protocol';
import {
  type ChallengeClaims,
  challengeClaims,
  challengeTyp,
} from '@countersign/protocol/challenge';
import { maxChallengeBytes } from '@countersign/protocol/limits';
import * as z from 'zod/mini';
import { headerMatches, parseCompactJws, verifyCompactJws } from '../token/compact-jws.ts';
import { findKey, type SigningKeys } from '../token/token-key.ts';
import type { IssuedChallenges } from './issued-challenges.ts';

/** What a challenge must have been made for. */
export type ExpectedChallenge = {
  readonly brokerUrl: string;
  readonly organizationId: string;
  readonly clientId: string;
  readonly transactionHash: string;
  /** The broker's challenge keys, by kid. */
  readonly keys: SigningKeys['accepted'];
  /** Spares the verification of what this isolate has signed itself. */
  readonly issuedChallenges?: IssuedChallenges;
};

export type OpenedChallenge =
  | { readonly ok: true; readonly claims: ChallengeClaims }
  | { readonly ok: false; readonly reason: VerificationCode };

/** Form, key, signature. */
async function verifyChallenge(
  unverifiedChallenge: string,
  expected: ExpectedIssuer,
): Promise<OpenedChallenge> {
  const refuse = (reason: VerificationCode): OpenedChallenge => ({ ok: false, reason });
  if (unverifiedChallenge.length > maxChallengeBytes) return refuse('challenge_malformed');
  const jws = parseCompactJws(unverifiedChallenge);
  if (jws === undefined) return refuse('challenge_malformed');
  if (!headerMatches(jws.unverifiedHeader, { alg: 'ES256', typ: challengeTyp }, ['kid'])) {
    return refuse('challenge_malformed');
  }
  const key = findKey(expected.keys, jws.unverifiedHeader.kid);
  if (key === undefined) return refuse('challenge_key_unknown');
  if (!(await verifyCompactJws(jws, key.publicKey, 'ES256'))) {
    return refuse('challenge_signature_invalid');
  }
  const parsed = z.safeParse(challengeClaims, jws.unverifiedPayload);
  return parsed.success ? { ok: true, claims: parsed.data } : refuse('challenge_malformed');
}

/** Which broker a challenge must be of, and the keys that may have signed it. */
export type ExpectedIssuer = Pick<
  ExpectedChallenge,
  'brokerUrl' | 'organizationId' | 'keys' | 'issuedChallenges'
>;

/** Opens a challenge of this broker, whatever client and transaction it is for: form, key, signature, audience. */
export async function readChallenge(
  unverifiedChallenge: string,
  expected: ExpectedIssuer,
): Promise<OpenedChallenge> {
  const own = expected.issuedChallenges?.find(unverifiedChallenge);
  const opened: OpenedChallenge =
    own === undefined
      ? await verifyChallenge(unverifiedChallenge, expected)
      : { ok: true, claims: own };
  if (!opened.ok) return opened;
  const { iss, aud } = opened.claims;
  if (iss !== expected.brokerUrl || aud !== expected.organizationId) {
    return { ok: false, reason: 'challenge_wrong_audience' };
  }
  return opened;
}

/**
 * Opens a challenge that came back: form, key, signature, issuer and audience, client, transaction. Its expiry is a
 * fact for the decision, which first looks whether it is a retry.
 */
export async function openChallenge(
  unverifiedChallenge: string,
  expected: ExpectedChallenge,
): Promise<OpenedChallenge> {
  const opened = await readChallenge(unverifiedChallenge, expected);
  if (!opened.ok) return opened;
  const { client_id, transaction_hash } = opened.claims;
  const refuse = (reason: VerificationCode): OpenedChallenge => ({ ok: false, reason });
  if (client_id !== expected.clientId) return refuse('challenge_wrong_client');
  if (transaction_hash !== expected.transactionHash) return refuse('challenge_wrong_transaction');
  return opened;
}
