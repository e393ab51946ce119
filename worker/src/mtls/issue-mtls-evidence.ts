import type { ChallengeClaims } from '@countersign/protocol/challenge';
import { type MtlsEvidenceClaims, mtlsEvidenceTyp } from '@countersign/protocol/mtls-evidence';
import { encodeHeader, signCompactJws } from '../token/compact-jws.ts';
import { encryptForBroker } from '../token/encrypt-for-broker.ts';
import type { SigningKeys, TokenKey } from '../token/token-key.ts';
import type { ClientCertificate } from './client-certificate.ts';

/** What the broker signs mTLS evidence with, and encrypts it to. */
export type MtlsEvidenceIssuer = {
  readonly brokerUrl: string;
  readonly organizationId: string;
  readonly mtlsEvidenceKeys: SigningKeys;
  readonly responseKeys: readonly TokenKey[];
};

/**
 * The broker's word to itself: a page at `origin` that holds this challenge runs in a browser that proved the key of
 * this certificate. It lives as long as the challenge. Nothing is stored.
 *
 * @returns compact JWE around the compact JWS of `MtlsEvidenceClaims`
 */
export async function issueMtlsEvidence(
  issuer: MtlsEvidenceIssuer,
  challenge: ChallengeClaims,
  origin: string,
  certificate: ClientCertificate,
  nowMs: number,
): Promise<string> {
  const claims: MtlsEvidenceClaims = {
    iss: issuer.brokerUrl,
    aud: issuer.organizationId,
    challenge_id: challenge.jti,
    origin,
    device_id: certificate.deviceId,
    certificate_sha256: certificate.sha256,
    iat: Math.floor(nowMs / 1000),
    exp: challenge.exp,
  };
  const { active } = issuer.mtlsEvidenceKeys;
  const [recipient] = issuer.responseKeys;
  if (recipient === undefined) throw new TypeError('settings always hold a response key');
  const jws = await signCompactJws(
    encodeHeader(mtlsEvidenceTyp, active.kid),
    claims,
    active.privateKey,
  );
  return await encryptForBroker(jws, recipient);
}
