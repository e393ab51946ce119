import { createPublicKey, type KeyObject } from 'node:crypto';
import {
  type ChallengeClaims,
  challengeClaims,
  challengeTyp,
} from '@countersign/protocol/challenge';
import type { KeySetClaims } from '@countersign/protocol/key-set';
import { maxClockSkewSeconds } from '@countersign/protocol/limits';
import { base64urlOf, parseFields } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';
import { fail, type Result, succeed } from '../result.ts';
import { parseStrictJsonBytes } from '../strict-json.ts';
import { parseCompactJws, type UnverifiedJws, verifyEs256 } from './compact-jws.ts';

/** Exactly these members: no `crit`, no `b64`, no key or reference to a key (`jwk`, `jku`, `x5u`, `x5c`). */
const challengeHeader = z.strictObject({
  alg: z.literal('ES256'),
  typ: z.literal(challengeTyp),
  kid: base64urlOf(32),
});
export type UnverifiedChallenge = UnverifiedJws<z.infer<typeof challengeHeader>>;

/** Takes the challenge apart and checks its form, up to the header. Verifies nothing. */
export function readChallenge(
  unverifiedText: string,
): Result<UnverifiedChallenge, 'challenge_malformed'> {
  const jws = parseCompactJws(unverifiedText, challengeHeader);
  return jws.ok ? jws : fail('challenge_malformed', `the challenge: ${jws.detail}`);
}

export type OpenChallengeReason =
  | 'challenge_malformed'
  | 'challenge_key_unknown'
  | 'challenge_signature_invalid'
  | 'challenge_wrong_audience'
  | 'clock_skew'
  | 'origin_not_allowed';

/** What this device knows and a challenge is held against. */
export type ChallengeExpectations = {
  /** The page's origin as the browser reported it. */
  readonly origin: string;
  readonly organizationId: string;
  readonly brokerUrl: string;
  /** Keys that may sign challenges, from the verified key set. */
  readonly keys: KeySetClaims['keys'];
  /** The host's own list of sign-in pages, from its configuration. */
  readonly allowedOrigins: readonly string[];
  readonly nowSeconds: number;
};

/**
 * Decides whether this device may answer a challenge. In order: the key is in the key set; the signature is that
 * key's; the claims are well-formed; the challenge is for this organization, from this broker; the clocks agree
 * within ten minutes; the page's origin is on the host's own list and on the challenge's. Expiry is not looked at:
 * it is the broker's to judge, by the broker's clock.
 */
export function openChallenge(
  challenge: UnverifiedChallenge,
  expected: ChallengeExpectations,
): Result<ChallengeClaims, OpenChallengeReason> {
  const key = findChallengeKey(expected.keys, challenge.header.kid);
  if (key === undefined) {
    return fail(
      'challenge_key_unknown',
      `the key set has no challenge key ${challenge.header.kid}`,
    );
  }
  if (!verifyEs256(challenge, key)) {
    return fail('challenge_signature_invalid', 'the signature of the challenge is not of its key');
  }
  const json = parseStrictJsonBytes(challenge.unverifiedPayload);
  if (!json.ok) return fail('challenge_malformed', `the challenge's claims: ${json.detail}`);
  const claims = parseFields(challengeClaims, json.value);
  if (!claims.ok) {
    return fail('challenge_malformed', `the challenge's ${claims.field} ${claims.detail}`);
  }
  return checkClaims(claims.value, expected);
}

function findChallengeKey(keys: KeySetClaims['keys'], kid: string): KeyObject | undefined {
  const jwk = keys.find((key) => key.kid === kid && key.purpose === 'challenge');
  return (
    jwk && createPublicKey({ key: { kty: 'EC', crv: jwk.crv, x: jwk.x, y: jwk.y }, format: 'jwk' })
  );
}

function checkClaims(
  claims: ChallengeClaims,
  expected: ChallengeExpectations,
): Result<ChallengeClaims, OpenChallengeReason> {
  if (claims.aud !== expected.organizationId) {
    return fail('challenge_wrong_audience', 'the challenge is for another organization');
  }
  if (claims.iss !== expected.brokerUrl) {
    return fail('challenge_wrong_audience', `the challenge is not from ${expected.brokerUrl}`);
  }
  const skewSeconds = expected.nowSeconds - claims.iat;
  // Written so that a clock that is not a number is refused too.
  if (!(Math.abs(skewSeconds) <= maxClockSkewSeconds)) {
    return fail('clock_skew', `this device's clock differs from the broker's by ${skewSeconds} s`);
  }
  if (!expected.allowedOrigins.includes(expected.origin)) {
    return fail('origin_not_allowed', `${expected.origin} is not in the host configuration`);
  }
  if (!claims.origins.includes(expected.origin)) {
    return fail('origin_not_allowed', `the challenge was not made for ${expected.origin}`);
  }
  return succeed(claims);
}
