import { createHash, timingSafeEqual } from 'node:crypto';
import { decodeBase64url } from '@countersign/protocol';
import type { OrganizationSnapshot, RegisteredClient } from '../directory/organization-snapshot.ts';
import { parseCompactJws } from '../token/compact-jws.ts';
import { findFlawInAssertion } from './verify-client-assertion.ts';

/** `detail` is for the log alone: outside, every failure looks the same. */
export type ClientAuthentication =
  | { readonly ok: true; readonly client: RegisteredClient }
  | { readonly ok: false; readonly detail: string };

/** SHA-256 of a text, base64url, as secrets are kept. */
export const sha256Text = (secret: string): string =>
  createHash('sha256').update(secret, 'utf8').digest('base64url');

/** Compares SHA-256 of what was sent with what is on record, in constant time. */
export function secretMatches(secret: string, expectedSha256: string): boolean {
  const expected = decodeBase64url(expectedSha256);
  const actual = createHash('sha256').update(secret, 'utf8').digest();
  return expected?.length === actual.length && timingSafeEqual(expected, actual);
}

/** RFC 6749 section 2.3.1: both halves are form-urlencoded before they are joined and base64-encoded. */
function readBasic(
  credentials: string,
): { readonly id: string; readonly secret: string } | undefined {
  try {
    const text = atob(credentials);
    const colon = text.indexOf(':');
    if (colon < 0) return undefined;
    return {
      id: decodeURIComponent(text.slice(0, colon)),
      secret: decodeURIComponent(text.slice(colon + 1)),
    };
  } catch {
    return undefined;
  }
}

function authenticateBySecret(
  credentials: string,
  snapshot: OrganizationSnapshot,
): ClientAuthentication {
  const basic = readBasic(credentials);
  if (basic === undefined) return { ok: false, detail: 'credentials are malformed' };
  const client = snapshot.clients.get(basic.id);
  if (client === undefined)
    return { ok: false, detail: `client ${JSON.stringify(basic.id)} is unknown` };
  if (client.authentication.method !== 'client_secret') {
    return {
      ok: false,
      detail: `client ${basic.id} authenticates by ${client.authentication.method}`,
    };
  }
  return secretMatches(basic.secret, client.authentication.secret_sha256)
    ? { ok: true, client }
    : { ok: false, detail: `client ${basic.id} sent a wrong secret` };
}

/**
 * RFC 7523 section 3, with the lifetime held short and no audience but the broker; the assertion's issuer only chooses
 * whose keys verify it.
 */
async function authenticateByAssertion(
  assertion: string,
  snapshot: OrganizationSnapshot,
  brokerUrl: string,
  nowMs: number,
): Promise<ClientAuthentication> {
  const jws = parseCompactJws(assertion);
  if (jws === undefined) return { ok: false, detail: 'assertion is malformed' };
  const unverifiedId = jws.unverifiedPayload.iss;
  const client = typeof unverifiedId === 'string' ? snapshot.clients.get(unverifiedId) : undefined;
  if (client?.authentication.method !== 'private_key_jwt') {
    return { ok: false, detail: 'assertion of no client with keys' };
  }
  const clientId = client.client_id;
  const jwk = client.authentication.keys.find(({ kid }) => kid === jws.unverifiedHeader.kid);
  if (jwk === undefined) return { ok: false, detail: `client ${clientId}: unknown key` };
  const flaw = await findFlawInAssertion(jws, jwk, { clientId, brokerUrl, nowMs }).catch(
    (error: unknown) => `assertion refused: ${String(error)}`,
  );
  if (flaw !== undefined) return { ok: false, detail: `client ${clientId}: ${flaw}` };
  return { ok: true, client };
}

/** HTTP Basic with a client secret, or `Bearer` with a signed assertion. */
export async function authenticateClient(
  authorization: string | null,
  snapshot: OrganizationSnapshot,
  brokerUrl: string,
  nowMs: number,
): Promise<ClientAuthentication> {
  const [scheme = '', credentials = '', ...rest] = (authorization ?? '').split(' ');
  if (rest.length > 0) return { ok: false, detail: 'Authorization has more than two parts' };
  switch (scheme.toLowerCase()) {
    case 'basic':
      return authenticateBySecret(credentials, snapshot);
    case 'bearer':
      return await authenticateByAssertion(credentials, snapshot, brokerUrl, nowMs);
    default:
      return { ok: false, detail: 'no Authorization of a known scheme' };
  }
}
