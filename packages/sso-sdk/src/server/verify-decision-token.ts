import { decodeBase64url, encodeBase64url } from '@countersign/protocol';
import {
  type DecisionTokenClaims,
  decisionTokenClaims,
  decisionTokenTyp,
} from '@countersign/protocol/decision-token';
import { decisionTokenTtlSeconds } from '@countersign/protocol/limits';
import { parseFields } from '@countersign/protocol/schemas';
import { type CryptoKey, compactVerify } from 'jose';
import { CountersignError } from './countersign-error.ts';
import type { FindDecisionKey, NoDecisionKey } from './published-keys.ts';

/** What the token must have been made for. */
export type ExpectedDecision = {
  readonly issuer: string;
  readonly clientId: string;
  readonly subject: string;
  readonly application: string;
  readonly action: string;
  readonly transaction: string;
};

/** Claims of a token that proves an allow. */
export type AllowClaims = DecisionTokenClaims & { readonly decision: true };

const maxTokenBytes = 8 * 1024;

const noKeyCodes = {
  unknown: 'decision_token_key_unknown',
  wrong_purpose: 'decision_token_key_wrong_purpose',
  without_purpose: 'decision_token_key_without_purpose',
  unavailable: 'decision_keys_unavailable',
} as const satisfies Record<NoDecisionKey['reason'], CountersignError['code']>;

/**
 * In this order: form, `typ`, `alg`, no parameter that brings its own key or rules (RFC 7515 section 4.1), key by `kid`,
 * published for this purpose, signature, form of the claims, `iss`, `aud`, `sub`, application, action, transaction, times, and last `decision`, which
 * must be true. Throws `CountersignError` with a code of its own for each.
 */
export async function verifyDecisionToken(
  unverifiedToken: string,
  expected: ExpectedDecision,
  findKey: FindDecisionKey,
  nowSeconds: number,
  toleranceSeconds: number,
): Promise<AllowClaims> {
  const header = readHeader(unverifiedToken);
  const found = await findKey(header);
  if (!found.ok) throw new CountersignError(noKeyCodes[found.reason], { cause: found.cause });
  const claims = await readSignedClaims(unverifiedToken, found.key);

  if (claims.iss !== expected.issuer) fail('decision_token_wrong_issuer');
  if (claims.aud !== expected.clientId) fail('decision_token_wrong_audience');
  if (claims.sub !== expected.subject) fail('decision_token_wrong_subject');
  if (claims.application !== expected.application) fail('decision_token_wrong_application');
  if (claims.action !== expected.action) fail('decision_token_wrong_action');
  if (claims.transaction_hash !== (await sha256Text(expected.transaction))) {
    fail('decision_token_wrong_transaction');
  }

  const lifetimeSeconds = claims.exp - claims.iat;
  if (lifetimeSeconds <= 0 || lifetimeSeconds > decisionTokenTtlSeconds) {
    fail('decision_token_lifetime_wrong');
  }
  if (claims.iat > nowSeconds + toleranceSeconds) fail('decision_token_not_yet_valid');
  if (claims.exp <= nowSeconds - toleranceSeconds) fail('decision_token_expired');

  if (claims.decision !== true) fail('decision_token_denies');
  return { ...claims, decision: true };
}

function fail(code: CountersignError['code'], detail?: string): never {
  throw new CountersignError(code, { detail });
}

function readHeader(unverifiedToken: string): { alg: 'ES256'; kid: string } {
  const parts = unverifiedToken.length <= maxTokenBytes ? unverifiedToken.split('.') : [];
  const [headerBytes, ...others] = parts.map(decodeBase64url);
  if (parts.length !== 3 || headerBytes === undefined || others.includes(undefined)) {
    fail('decision_token_malformed', 'not a compact JWS');
  }
  const header = parseJsonObject(headerBytes);
  if (header === undefined) fail('decision_token_malformed', 'the header is not a JSON object');
  if (header.typ !== decisionTokenTyp) fail('decision_token_type_wrong');
  if (header.alg !== 'ES256') fail('decision_token_algorithm_not_allowed');
  for (const name of ['crit', 'b64', 'jwk', 'jku', 'x5u', 'x5c']) {
    if (Object.hasOwn(header, name)) fail('decision_token_malformed', `the header has ${name}`);
  }
  // Without a `kid` the key would be whichever fits.
  if (typeof header.kid !== 'string' || header.kid === '') {
    fail('decision_token_malformed', 'the header has no kid');
  }
  return { alg: 'ES256', kid: header.kid };
}

async function readSignedClaims(
  unverifiedToken: string,
  key: CryptoKey,
): Promise<DecisionTokenClaims> {
  const verified = await compactVerify(unverifiedToken, key, { algorithms: ['ES256'] }).catch(
    (cause: unknown) => {
      throw new CountersignError('decision_token_signature_invalid', { cause });
    },
  );
  const claims = parseFields(decisionTokenClaims, parseJsonObject(verified.payload));
  if (!claims.ok) {
    throw new CountersignError('decision_token_malformed', {
      field: claims.field,
      detail: claims.detail,
    });
  }
  return claims.value;
}

function parseJsonObject(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

async function sha256Text(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return encodeBase64url(new Uint8Array(digest));
}
