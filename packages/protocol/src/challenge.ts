import * as z from 'zod/mini';
import { maxOriginsPerClient } from './limits.ts';
import {
  base64urlBetween,
  base64urlOf,
  chosenId,
  numericDate,
  p256PublicJwk,
  secureWebOrigin,
  sha256Text,
} from './schemas.ts';

/** `POST /v1/challenges`, sent by the sign-in page; the `Origin` header must be registered for the client. */
export const challengeRequest = z.object({
  client_id: chosenId,
  /** Made by the sign-in server, single-use, tied to its session cookie: 16 to 64 random bytes. */
  transaction: base64urlBetween(16, 64),
});

export const challengeAnswer = z.object({
  challenge: z.string(),
  expires_in_seconds: z.int(),
  /** Origin where a browser may present its device certificate (`POST /v1/mtls-evidence`); left out when there is none. */
  mtls_url: z.optional(z.string()),
});

export const challengeTyp = 'challenge+jwt';

/** Claims of the challenge, a JWS by the broker with `typ` `challenge+jwt` and `alg` ES256. */
export const challengeClaims = z.object({
  /** The broker's public URL. */
  iss: z.string().check(z.maxLength(255)),
  /** The organization whose hosts may answer, as given at enrollment. */
  aud: z.string().check(z.minLength(1), z.maxLength(128)),
  /** Challenge id: 16 random bytes. */
  jti: base64urlOf(16),
  iat: numericDate,
  exp: numericDate,
  client_id: chosenId,
  /** SHA-256 of the transaction's text. */
  transaction_hash: sha256Text,
  /** Origins on which this challenge may be answered. */
  origins: z.array(secureWebOrigin).check(z.minLength(1), z.maxLength(maxOriginsPerClient)),
  /** The broker's key to encrypt the response to, so that hosts keep no state about it. */
  response_encryption: z.object({
    kid: z.string().check(z.minLength(1), z.maxLength(64)),
    jwk: p256PublicJwk,
  }),
});
export type ChallengeClaims = z.infer<typeof challengeClaims>;
