import { decodeBase64url, type VerificationCode } from '@countersign/protocol';
import type { ChallengeClaims } from '@countersign/protocol/challenge';
import { maxDeviceResponseBytes } from '@countersign/protocol/limits';
import { mtlsEvidenceClaims, mtlsEvidenceTyp } from '@countersign/protocol/mtls-evidence';
import * as z from 'zod/mini';
import { headerMatches, parseCompactJws, verifyCompactJws } from '../token/compact-jws.ts';
import { decryptResponse, type ResponseDecryptionKey } from '../token/decrypt-response.ts';
import { findKey, type SigningKeys } from '../token/token-key.ts';

/** The broker's own word, given at its mTLS endpoint: a client proved the key of this certificate. */
export type MtlsEvidence = {
  /** Device id that the certificate names: it selects the shard and proves nothing. */
  readonly claimedDeviceId: string;
  readonly certificateSha256: Uint8Array;
  /** `Origin` of the request to the endpoint. */
  readonly origin: string;
  readonly expiresAtMs: number;
};

export type VerifyMtlsEvidenceResult =
  | { readonly ok: true; readonly evidence: MtlsEvidence }
  | { readonly ok: false; readonly reason: VerificationCode };

/**
 * Decrypts and verifies mTLS evidence against the opened challenge: decryption, form, key, signature, challenge id,
 * audience, origin. Its expiry is a fact for the decision, as the challenge's is.
 */
export async function verifyMtlsEvidence(
  unverifiedEvidence: string,
  challenge: ChallengeClaims,
  keys: {
    readonly responseKeys: readonly ResponseDecryptionKey[];
    readonly mtlsEvidenceKeys: SigningKeys['accepted'];
  },
): Promise<VerifyMtlsEvidenceResult> {
  const refuse = (reason: VerificationCode): VerifyMtlsEvidenceResult => ({ ok: false, reason });
  if (unverifiedEvidence.length > maxDeviceResponseBytes) return refuse('mtls_evidence_malformed');
  const plaintext = await decryptResponse(unverifiedEvidence, keys.responseKeys);
  if (plaintext === undefined) return refuse('mtls_evidence_undecryptable');

  const jws = parseCompactJws(plaintext);
  if (jws === undefined) return refuse('mtls_evidence_malformed');
  if (!headerMatches(jws.unverifiedHeader, { alg: 'ES256', typ: mtlsEvidenceTyp }, ['kid'])) {
    return refuse('mtls_evidence_malformed');
  }
  const key = findKey(keys.mtlsEvidenceKeys, jws.unverifiedHeader.kid);
  if (key === undefined) return refuse('mtls_evidence_key_unknown');
  if (!(await verifyCompactJws(jws, key.publicKey, 'ES256'))) {
    return refuse('mtls_evidence_signature_invalid');
  }

  const parsed = z.safeParse(mtlsEvidenceClaims, jws.unverifiedPayload);
  if (!parsed.success) return refuse('mtls_evidence_malformed');
  const claims = parsed.data;
  const certificateSha256 = decodeBase64url(claims.certificate_sha256);
  if (certificateSha256 === undefined) return refuse('mtls_evidence_malformed');
  if (claims.challenge_id !== challenge.jti) return refuse('mtls_evidence_wrong_challenge');
  if (claims.iss !== challenge.iss || claims.aud !== challenge.aud) {
    return refuse('mtls_evidence_wrong_audience');
  }
  if (!challenge.origins.includes(claims.origin)) return refuse('mtls_evidence_wrong_origin');
  return {
    ok: true,
    evidence: {
      claimedDeviceId: claims.device_id,
      certificateSha256,
      origin: claims.origin,
      expiresAtMs: claims.exp * 1000,
    },
  };
}
