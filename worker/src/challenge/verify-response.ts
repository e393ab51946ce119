import type { VerificationCode } from '@countersign/protocol';
import type { ChallengeClaims } from '@countersign/protocol/challenge';
import {
  type DeviceResponseClaims,
  deviceResponseClaims,
  deviceResponseTyp,
} from '@countersign/protocol/device-response';
import { maxDeviceResponseBytes } from '@countersign/protocol/limits';
import * as z from 'zod/mini';
import { headerMatches, parseCompactJws, verifyCompactJws } from '../token/compact-jws.ts';
import { decryptResponse, type ResponseDecryptionKey } from '../token/decrypt-response.ts';
import type { PresentedCertificate, PresentedCertificates } from './presented-certificate.ts';

/** A response whose signature fits the certificate in it. Whether we issued that certificate is not known yet. */
export type VerifiedDeviceResponse = {
  /** The certificate whose key verified the signature. */
  readonly presented: PresentedCertificate;
  readonly claims: DeviceResponseClaims;
};

export type VerifyResponseResult =
  | { readonly ok: true; readonly response: VerifiedDeviceResponse }
  | { readonly ok: false; readonly reason: VerificationCode };

const x5c = z.tuple([
  z.string().check(z.maxLength(maxDeviceResponseBytes), z.regex(/^[A-Za-z0-9+/]+={0,2}$/)),
]);

/**
 * Decrypts and verifies a device response against the opened challenge: decryption, form, certificate form, signature
 * with the algorithm that follows from the certificate's key, challenge id, audience, origin.
 */
export async function verifyResponse(
  unverifiedResponse: string,
  challenge: ChallengeClaims,
  keys: readonly ResponseDecryptionKey[],
  certificates: PresentedCertificates,
): Promise<VerifyResponseResult> {
  const refuse = (reason: VerificationCode): VerifyResponseResult => ({ ok: false, reason });
  if (unverifiedResponse.length > maxDeviceResponseBytes) return refuse('response_malformed');
  const plaintext = await decryptResponse(unverifiedResponse, keys);
  if (plaintext === undefined) return refuse('response_undecryptable');

  const jws = parseCompactJws(plaintext);
  if (jws === undefined) return refuse('response_malformed');
  const leaf = z.safeParse(x5c, jws.unverifiedHeader.x5c);
  if (!leaf.success) return refuse('response_malformed');
  const presented = await certificates.read(leaf.data[0]);
  if (presented === undefined) return refuse('certificate_malformed');

  const expectedHeader = { alg: presented.algorithm, typ: deviceResponseTyp };
  if (!headerMatches(jws.unverifiedHeader, expectedHeader, ['x5c'])) {
    return refuse('response_malformed');
  }
  if (!(await verifyCompactJws(jws, presented.publicKey, presented.algorithm))) {
    return refuse('response_signature_invalid');
  }

  const parsed = z.safeParse(deviceResponseClaims, jws.unverifiedPayload);
  if (!parsed.success) return refuse('response_malformed');
  const claims = parsed.data;
  if (claims.challenge_id !== challenge.jti) return refuse('response_wrong_challenge');
  if (claims.aud !== challenge.iss) return refuse('response_wrong_audience');
  if (!challenge.origins.includes(claims.origin)) return refuse('response_wrong_origin');
  return { ok: true, response: { presented, claims } };
}
