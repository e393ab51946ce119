import { createHash, type KeyObject, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { decodeBase64url, encodeBase64url } from '@countersign/protocol';
import { type KeySetClaims, keySetClaims, keySetTyp } from '@countersign/protocol/key-set';
import { decodePem } from '@countersign/x509';
import * as z from 'zod/mini';
import { EdgeServerError } from '../edge-server-error.ts';
import { replaceFile } from './durable-files.ts';
import type { P256PublicJwk } from './private-key.ts';

/** What a key set says, apart from its version and time. */
export type KeySetContent = {
  /** `iss` of every challenge. */
  readonly brokerUrl: string;
  readonly organizationId: string;
  /** In any order: a host looks one up by its kid. */
  readonly challengeKeys: readonly P256PublicJwk[];
  /** For whoever verifies receipts of decisions. */
  readonly auditKeys: readonly P256PublicJwk[];
};

export type KeySetSigner = {
  readonly privateKey: KeyObject;
  readonly certificatePem: string;
};

/** RFC 7638 thumbprint: SHA-256 over the required members in lexicographic order. */
export function jwkThumbprint({ crv, kty, x, y }: P256PublicJwk): string {
  return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
}

function encodeJson(value: unknown): string {
  return encodeBase64url(new TextEncoder().encode(JSON.stringify(value)));
}

function headerOf(certificatePem: string): string {
  const der = decodePem(certificatePem, 'CERTIFICATE');
  if (!der.ok) throw new Error(`key set signer: ${der.detail}`);
  return encodeJson({
    alg: 'ES256',
    typ: keySetTyp,
    x5c: [Buffer.from(der.value).toString('base64')],
  });
}

/** In one order, whichever is in use: only another set needs another version. */
function publish<Purpose extends string>(keys: readonly P256PublicJwk[], purpose: Purpose) {
  return keys
    .map(({ kty, crv, x, y }) => ({
      kty,
      crv,
      x,
      y,
      kid: jwkThumbprint({ kty, crv, x, y }),
      alg: 'ES256' as const,
      use: 'sig' as const,
      purpose,
    }))
    .toSorted((one, other) => (one.kid < other.kid ? -1 : 1));
}

function claimsOf(content: KeySetContent, version: number, nowMs: number): KeySetClaims {
  return {
    iss: content.brokerUrl,
    aud: content.organizationId,
    version,
    iat: Math.floor(nowMs / 1000),
    keys: publish(content.challengeKeys, 'challenge'),
    audit_keys: publish(content.auditKeys, 'audit'),
  };
}

/** The key set as a compact JWS whose `x5c` holds the signer's certificate alone. */
export function signKeySet(
  content: KeySetContent,
  signer: KeySetSigner,
  version: number,
  nowMs: number,
): string {
  const signingInput = `${headerOf(signer.certificatePem)}.${encodeJson(claimsOf(content, version, nowMs))}`;
  const signature = sign('sha256', Buffer.from(signingInput), {
    key: signer.privateKey,
    dsaEncoding: 'ieee-p1363',
  });
  return `${signingInput}.${encodeBase64url(signature)}`;
}

/** @throws EdgeServerError `data_directory_unusable`: without the old version a newer one cannot be numbered */
export function readKeySet(path: string) {
  const jws = readFileSync(path, 'utf8').trimEnd();
  const [header, payload = ''] = jws.split('.');
  try {
    const bytes = decodeBase64url(payload) ?? new Uint8Array();
    const claims = z.parse(keySetClaims, JSON.parse(new TextDecoder().decode(bytes)));
    return { jws, header, claims };
  } catch {
    throw new EdgeServerError(
      'data_directory_unusable',
      `${path} is not a key set. Restore it from a backup: hosts accept only a newer version than the one they have.`,
    );
  }
}

/**
 * The key set to serve. The stored one while it says what it should; otherwise a new one, whose version is one higher,
 * replaces it first.
 *
 * @returns `changedFrom` is the broker URL of the older one, when that was another
 */
export function keepKeySet(
  path: string,
  content: KeySetContent,
  signer: KeySetSigner,
  nowMs: number,
): { readonly keySet: string; readonly changedFrom: string | undefined } {
  const stored = readKeySet(path);
  const { version, iat } = stored.claims;
  const unchanged =
    stored.header === headerOf(signer.certificatePem) &&
    isDeepStrictEqual(stored.claims, claimsOf(content, version, iat * 1000));
  if (unchanged) return { keySet: stored.jws, changedFrom: undefined };
  const keySet = signKeySet(content, signer, version + 1, nowMs);
  replaceFile(path, `${keySet}\n`);
  const { iss } = stored.claims;
  return { keySet, changedFrom: iss === content.brokerUrl ? undefined : iss };
}
