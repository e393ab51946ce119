import { decodeBase64url } from '@countersign/protocol';
import {
  type FailOpenClaims,
  failOpenClaims,
  failOpenMaxAgeSeconds,
  failOpenTyp,
} from '@countersign/protocol/fail-open';
import { parseFields } from '@countersign/protocol/schemas';
import { parseStrictJsonBytes } from '@countersign/protocol/strict-json';
import { type CryptoKey, compactVerify } from 'jose';
import * as z from 'zod/mini';

/** What a statement must have been made for. */
export type ExpectedStatement = {
  readonly issuer: string;
  readonly clientId: string;
  readonly application: string;
};

export type StatementResult =
  | { readonly ok: true; readonly claims: FailOpenClaims }
  | { readonly ok: false; readonly detail: string };

/** Exactly these members: a header is compared, never obeyed. */
const statementHeader = z.strictObject({
  alg: z.literal('ES256'),
  typ: z.literal(failOpenTyp),
  kid: z.string().check(z.minLength(1)),
});

const refuse = (detail: string): StatementResult => ({ ok: false, detail });

/** The `kid` of a statement's header, when the header is right. */
export function kidOf(unverifiedStatement: string): string | undefined {
  const [bytes, ...others] = unverifiedStatement.split('.').map(decodeBase64url);
  // In its one spelling: what is changed anywhere is another text.
  const isWhole = others.length === 2 && !others.includes(undefined);
  const json = bytes !== undefined && isWhole ? parseStrictJsonBytes(bytes) : undefined;
  const header = json?.ok === true ? parseFields(statementHeader, json.value) : undefined;
  return header?.ok === true ? header.value.kid : undefined;
}

/**
 * In this order: form and header, signature, form of the claims, `iss`, `aud`, application, times. Whoever uses a statement
 * verifies it anew each time.
 *
 * @param toleranceSeconds by how much the broker's clock may be ahead; an end is an end by this server's own
 */
export async function verifyStatement(
  unverifiedStatement: string,
  key: CryptoKey,
  expected: ExpectedStatement,
  nowSeconds: number,
  toleranceSeconds: number,
): Promise<StatementResult> {
  if (kidOf(unverifiedStatement) === undefined) return refuse('its header is not right');
  let payload: Uint8Array;
  try {
    ({ payload } = await compactVerify(unverifiedStatement, key, { algorithms: ['ES256'] }));
  } catch {
    return refuse('its signature does not verify');
  }
  const json = parseStrictJsonBytes(payload);
  const claims = json.ok ? parseFields(failOpenClaims, json.value) : undefined;
  if (claims?.ok !== true) return refuse('its claims are malformed');
  const { iss, aud, application, iat, exp } = claims.value;
  if (iss !== expected.issuer) return refuse('it is of another broker');
  if (aud !== expected.clientId) return refuse('it is for another client');
  if (application !== expected.application) return refuse('it is for another application');
  if (exp <= iat || exp - iat > failOpenMaxAgeSeconds) return refuse('it lives too long');
  if (iat > nowSeconds + toleranceSeconds) return refuse('it is from the future');
  if (exp <= nowSeconds) return refuse('it has expired');
  return { ok: true, claims: claims.value };
}
