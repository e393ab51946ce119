import * as z from 'zod/mini';
import { base64urlOf, numericDate } from './schemas.ts';

/**
 * `GET /v1/key-set`: the broker's public keys for hosts, as a JWS (`typ` `key-set+jwt`, ES256) whose `x5c` holds one
 * key-set signer certificate issued by the organization's root. `version` never goes backwards on a host.
 */
export const keySetTyp = 'key-set+jwt';
const publishedKey = {
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: base64urlOf(32),
  y: base64urlOf(32),
  /** RFC 7638 thumbprint. */
  kid: base64urlOf(32),
  alg: z.literal('ES256'),
  use: z.literal('sig'),
} as const;
export const keySetClaims = z.object({
  iss: z.url(),
  aud: z.string().check(z.minLength(1), z.maxLength(128)),
  version: z.int().check(z.minimum(1)),
  iat: numericDate,
  keys: z
    .array(
      z.object({
        ...publishedKey,
        /** What the key may sign; a host takes challenge signatures from `challenge` keys alone. */
        purpose: z.enum(['challenge']),
      }),
    )
    .check(z.minLength(1), z.maxLength(16)),
  /**
   * Keys that sign receipts of decisions. Beside the others, because a host takes no key of another purpose; left out of
   * sets from before there were receipts.
   */
  audit_keys: z.optional(
    z
      .array(z.object({ ...publishedKey, purpose: z.enum(['audit']) }))
      .check(z.minLength(1), z.maxLength(4)),
  ),
});
export type KeySetClaims = z.infer<typeof keySetClaims>;
export const keySetAnswer = z.object({ key_set: z.string() });

/**
 * `GET /.well-known/jwks.json` (RFC 7517), for everybody but hosts. A verifier takes a key of its own purpose alone, and none
 * that names no purpose: `typ` tells tokens of one key apart, not what another key may sign.
 */
export const jsonWebKeySet = z.object({
  keys: z.array(
    z.object({
      ...publishedKey,
      /**
       * `decision`: decision tokens, and statements of fail-open. `audit`: checkpoints of the log, receipts of decisions and
       * the AuthZEN metadata. A member of our own, as RFC 7517 section 4 permits: `use` and `key_ops` know no such words.
       */
      purpose: z.enum(['decision', 'audit']),
    }),
  ),
});
export type JsonWebKeySet = z.infer<typeof jsonWebKeySet>;
