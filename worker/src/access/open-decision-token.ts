import {
  type DecisionTokenClaims,
  decisionTokenClaims,
  decisionTokenTyp,
} from '@countersign/protocol/decision-token';
import { parseFields } from '@countersign/protocol/schemas';
import { headerMatches, parseCompactJws, verifyCompactJws } from '../token/compact-jws.ts';
import { findKey, type SigningKeys } from '../token/token-key.ts';

export type TokenContext = {
  readonly brokerUrl: string;
  readonly decisionKeys: SigningKeys;
  readonly clientId: string;
  readonly nowMs: number;
};

/**
 * What the broker said of a sign-in that it allowed: of this client, and not longer ago than the token lasts. Whatever
 * else a caller shows tells nothing of a device.
 */
export async function openDecisionToken(
  token: string,
  { brokerUrl, decisionKeys, clientId, nowMs }: TokenContext,
): Promise<DecisionTokenClaims | undefined> {
  const jws = parseCompactJws(token);
  const key = findKey(decisionKeys.accepted, jws?.unverifiedHeader.kid);
  if (jws === undefined || key === undefined) return undefined;
  const header = { alg: 'ES256', typ: decisionTokenTyp, kid: key.kid };
  if (!headerMatches(jws.unverifiedHeader, header)) return undefined;
  if (!(await verifyCompactJws(jws, key.publicKey, 'ES256'))) return undefined;
  const claims = parseFields(decisionTokenClaims, jws.unverifiedPayload);
  if (!claims.ok) return undefined;
  const { iss, aud, exp, decision } = claims.value;
  const isOurs = iss === brokerUrl && aud === clientId && decision;
  return isOurs && nowMs < exp * 1000 ? claims.value : undefined;
}
