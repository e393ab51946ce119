import { createHash } from 'node:crypto';
import type { VerificationCode } from '@countersign/protocol';
import type { ChallengeClaims } from '@countersign/protocol/challenge';
import {
  type DeviceResponseClaims,
  deviceResponseClaims,
  deviceResponseTyp,
} from '@countersign/protocol/device-response';
import { maxDeviceResponseBytes } from '@countersign/protocol/limits';
import { importVerifyKey, parseCertificate, readDeviceUri } from '@countersign/x509';
import * as z from 'zod/mini';
import { headerMatches, parseCompactJws, verifyCompactJws } from '../token/compact-jws.ts';
import { decryptResponse, type ResponseDecryptionKey } from '../token/decrypt-response.ts';

/** A response whose signature fits the certificate in it. Whether we issued that certificate is not known yet. */
export type VerifiedDeviceResponse = {
  /** Device id that the certificate names: it selects the shard and proves nothing. */
  readonly claimedDeviceId: string;
  /** SHA-256 of exactly the certificate bytes whose key verified the signature. */
  readonly certificateSha256: Uint8Array;
  readonly claims: DeviceResponseClaims;
};

export type VerifyResponseResult =
  | { readonly ok: true; readonly response: VerifiedDeviceResponse }
  | { readonly ok: false; readonly reason: VerificationCode };

const x5c = z.tuple([
  z.string().check(z.maxLength(maxDeviceResponseBytes), z.regex(/^[A-Za-z0-9+/]+={0,2}$/)),
]);

/** The one certificate of an `x5c` header (RFC 7515 section 4.1.6: base64, not base64url). */
function leafOf(unverifiedHeader: Readonly<Record<string, unknown>>): Uint8Array | undefined {
  const parsed = z.safeParse(x5c, unverifiedHeader.x5c);
  if (!parsed.success) return undefined;
  try {
    return Uint8Array.from(atob(parsed.data[0]), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}

/**
 * Decrypts and verifies a device response against the opened challenge: decryption, form, certificate form, signature
 * with the algorithm that follows from the certificate's key, challenge id, audience, origin.
 */
export async function verifyResponse(
  unverifiedResponse: string,
  challenge: ChallengeClaims,
  keys: readonly ResponseDecryptionKey[],
): Promise<VerifyResponseResult> {
  const refuse = (reason: VerificationCode): VerifyResponseResult => ({ ok: false, reason });
  if (unverifiedResponse.length > maxDeviceResponseBytes) return refuse('response_malformed');
  const plaintext = await decryptResponse(unverifiedResponse, keys);
  if (plaintext === undefined) return refuse('response_undecryptable');

  const jws = parseCompactJws(plaintext);
  if (jws === undefined) return refuse('response_malformed');
  const unverifiedLeaf = leafOf(jws.unverifiedHeader);
  if (unverifiedLeaf === undefined) return refuse('response_malformed');
  const unverifiedCertificate = parseCertificate(unverifiedLeaf);
  if (!unverifiedCertificate.ok) return refuse('certificate_malformed');
  const { der, subjectPublicKey } = unverifiedCertificate.value;
  const claimedDeviceId = readDeviceUri(unverifiedCertificate.value);
  if (!claimedDeviceId.ok) return refuse('certificate_malformed');

  const algorithm = subjectPublicKey.jwsAlgorithm;
  if (!headerMatches(jws.unverifiedHeader, { alg: algorithm, typ: deviceResponseTyp }, ['x5c'])) {
    return refuse('response_malformed');
  }
  const publicKey = await importVerifyKey(subjectPublicKey);
  if (!publicKey.ok) return refuse('certificate_malformed');
  if (!(await verifyCompactJws(jws, publicKey.value, algorithm))) {
    return refuse('response_signature_invalid');
  }

  const parsed = z.safeParse(deviceResponseClaims, jws.unverifiedPayload);
  if (!parsed.success) return refuse('response_malformed');
  const claims = parsed.data;
  if (claims.challenge_id !== challenge.jti) return refuse('response_wrong_challenge');
  if (claims.aud !== challenge.iss) return refuse('response_wrong_audience');
  if (!challenge.origins.includes(claims.origin)) return refuse('response_wrong_origin');
  const certificateSha256 = new Uint8Array(createHash('sha256').update(der).digest());
  return {
    ok: true,
    response: { claimedDeviceId: claimedDeviceId.value, certificateSha256, claims },
  };
}
