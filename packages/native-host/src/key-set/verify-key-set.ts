import { createHash, X509Certificate } from 'node:crypto';
import { type KeySetClaims, keySetClaims, keySetTyp } from '@countersign/protocol/key-set';
import { maxClockSkewSeconds } from '@countersign/protocol/limits';
import { parseFields } from '@countersign/protocol/schemas';
import { keySetSigningOid } from '@countersign/x509';
import * as z from 'zod/mini';
import { parseCompactJws, verifyEs256 } from '../attest/compact-jws.ts';
import { fail, type Result, succeed } from '../result.ts';
import { parseStrictJsonBytes } from '../strict-json.ts';

/** Exactly these members. The signer's certificate travels along; what makes it trusted is the pinned root. */
const keySetHeader = z.strictObject({
  alg: z.literal('ES256'),
  typ: z.literal(keySetTyp),
  x5c: z.tuple([z.string().check(z.minLength(1), z.maxLength(8192))]),
});

export const maxKeySetBytes = 32 * 1024;

export type KeySetExpectations = {
  /** The organization's root as pinned at enrollment, DER. */
  readonly rootCertificate: Uint8Array;
  readonly organizationId: string;
  readonly brokerUrl: string;
  /** The highest version seen so far. */
  readonly lowestVersion: number;
  /**
   * The signer must be valid at this time, give or take ten minutes. Left out for a key set that this device accepted
   * before: its own clock may be wrong by now, and must then be told so, not that the key set is bad.
   */
  readonly signerValidAtSeconds?: number;
};

/**
 * Verifies the broker's key set. In order: form; the signer's certificate is issued by the pinned root, for signing
 * key sets and nothing else, and valid; the signature is the signer's; organization and broker are those of the
 * enrollment; the version is not an older one; every key is named by its own thumbprint.
 */
export function verifyKeySet(
  unverifiedKeySet: string,
  expected: KeySetExpectations,
): Result<KeySetClaims, 'key_set_invalid'> {
  const invalid = (detail: string) => fail('key_set_invalid', `the key set: ${detail}`);
  if (unverifiedKeySet.length > maxKeySetBytes) return invalid('is too large');
  const jws = parseCompactJws(unverifiedKeySet, keySetHeader);
  if (!jws.ok) return invalid(jws.detail);
  const signer = readTrustedSigner(jws.value.header.x5c[0], expected);
  if (!signer.ok) return signer;
  if (!verifyEs256(jws.value, signer.value.publicKey))
    return invalid('is not signed by its signer');

  const json = parseStrictJsonBytes(jws.value.unverifiedPayload);
  if (!json.ok) return invalid(json.detail);
  const claims = parseFields(keySetClaims, json.value);
  if (!claims.ok) return invalid(`${claims.field} ${claims.detail}`);
  const { aud, iss, version, keys } = claims.value;
  if (aud !== expected.organizationId) return invalid('is for another organization');
  if (iss !== expected.brokerUrl) return invalid('is from another broker');
  if (version < expected.lowestVersion) {
    return invalid(
      `version ${version} is older than ${expected.lowestVersion}, which was seen already`,
    );
  }
  const misnamed = keys.find((key) => key.kid !== jwkThumbprint(key));
  return misnamed === undefined
    ? succeed(claims.value)
    : invalid(`kid ${misnamed.kid} is not the thumbprint of its key`);
}

function readTrustedSigner(
  unverifiedBase64: string,
  expected: KeySetExpectations,
): Result<X509Certificate, 'key_set_invalid'> {
  const invalid = (detail: string) => fail('key_set_invalid', `the key set's signer: ${detail}`);
  const der = Buffer.from(unverifiedBase64, 'base64');
  if (der.toString('base64') !== unverifiedBase64) return invalid('is not base64');
  const signer = readCertificate(der);
  if (signer === undefined) return invalid('is not a certificate');
  const root = readCertificate(expected.rootCertificate);
  if (root?.ca !== true) return invalid('the pinned root is not a certificate authority');
  if (!signer.checkIssued(root) || !signer.verify(root.publicKey)) {
    return invalid('is not issued by the pinned root');
  }
  // Node names extended key usages `keyUsage`.
  if (signer.ca || signer.keyUsage?.join() !== keySetSigningOid) {
    return invalid('may not sign key sets');
  }
  const at = expected.signerValidAtSeconds;
  if (at === undefined) return succeed(signer);
  for (const [name, certificate] of [
    ['certificate', signer],
    ['root', root],
  ] as const) {
    const from = certificate.validFromDate.getTime() / 1000 - maxClockSkewSeconds;
    const to = certificate.validToDate.getTime() / 1000 + maxClockSkewSeconds;
    // Written so that a time that is not a number is refused too.
    if (!(from <= at && at <= to)) return invalid(`its ${name} is not valid at this device's time`);
  }
  return succeed(signer);
}

function readCertificate(der: Uint8Array): X509Certificate | undefined {
  try {
    const certificate = new X509Certificate(der);
    // OpenSSL skips what follows a certificate; then these are not the bytes that were given.
    return certificate.raw.equals(der) ? certificate : undefined;
  } catch {
    return undefined;
  }
}

/** RFC 7638: SHA-256 over the required members in lexicographic order. */
function jwkThumbprint({ crv, kty, x, y }: KeySetClaims['keys'][number]): string {
  return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
}
