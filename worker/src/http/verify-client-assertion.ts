import * as z from 'zod/mini';
import type { RegisteredClient } from '../directory/organization-snapshot.ts';
import { type UnverifiedJws, verifyCompactJws } from '../token/compact-jws.ts';

type PrivateKeyJwt = Extract<
  RegisteredClient['authentication'],
  { readonly method: 'private_key_jwt' }
>;
type ClientJwk = PrivateKeyJwt['keys'][number];

const maxAssertionLifetimeSeconds = 300;
const clockToleranceSeconds = 30;

/** RFC 7523 section 3. Other claims are the client's own matter. */
const assertionClaims = z.looseObject({
  iss: z.string(),
  sub: z.string(),
  aud: z.string(),
  exp: z.number(),
  iat: z.number(),
  nbf: z.optional(z.number()),
});

async function importJwk({ kty, crv, x, y }: ClientJwk): Promise<CryptoKey> {
  const parameters = { name: 'ECDSA', namedCurve: crv };
  return await crypto.subtle.importKey('jwk', { kty, crv, x, y }, parameters, false, ['verify']);
}

/**
 * Holds an assertion against the key that its client has on record. The audience is the broker and nobody else.
 *
 * @returns what is wrong, for the log alone; `undefined` when nothing is
 */
export async function findFlawInAssertion(
  jws: UnverifiedJws,
  jwk: ClientJwk,
  expected: { readonly clientId: string; readonly brokerUrl: string; readonly nowMs: number },
): Promise<string | undefined> {
  const { alg, crit } = jws.unverifiedHeader;
  if (alg !== 'ES256') return 'alg is not ES256';
  // RFC 7515 section 4.1.11: no extension is known here.
  if (crit !== undefined) return 'a critical header member';
  if (!(await verifyCompactJws(jws, await importJwk(jwk), 'ES256'))) return 'wrong signature';
  const parsed = assertionClaims.safeParse(jws.unverifiedPayload);
  if (!parsed.success) return `wrong claim ${parsed.error.issues[0]?.path.join('.')}`;
  const { iss, sub, aud, exp, iat, nbf, jti } = parsed.data;
  if (iss !== expected.clientId || sub !== expected.clientId) return 'another issuer or subject';
  if (aud !== expected.brokerUrl) return 'another audience';
  if (jti === undefined) return 'no jti';
  const nowSeconds = Math.floor(expected.nowMs / 1000);
  if (exp <= nowSeconds - clockToleranceSeconds) return 'expired';
  if (exp > expected.nowMs / 1000 + maxAssertionLifetimeSeconds + clockToleranceSeconds) {
    return 'exp is too far away';
  }
  if (iat > nowSeconds + clockToleranceSeconds) return 'iat is in the future';
  if (iat < nowSeconds - maxAssertionLifetimeSeconds - clockToleranceSeconds) {
    return 'iat is too long ago';
  }
  if (nbf !== undefined && nbf > nowSeconds + clockToleranceSeconds) return 'nbf is in the future';
  return undefined;
}
