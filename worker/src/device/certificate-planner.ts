import { identifyPublicKey, parseSubjectPublicKeyInfo } from '@countersign/x509';
import { certificateProfiles } from '../ca/certificate-profile.ts';
import { planCertificate } from '../ca/issuer.ts';
import type { LoadIssuers } from './intent-signer.ts';
import type { IssuanceRefusal, IssuanceRequest } from './issuance-request.ts';
import type { PlannedCertificate } from './issue-certificate.ts';

type Planned = Pick<IssuanceRequest, 'deviceId' | 'subjectPublicKeyInfo' | 'profile' | 'issuerId'>;

/**
 * Prepares all that a certificate needs and that takes time, so that its bytes can be made in the block that checks
 * the limits.
 */
export async function preparePlan(
  loadIssuers: LoadIssuers,
  { deviceId, subjectPublicKeyInfo, profile, issuerId }: Planned,
): Promise<
  | { readonly ok: true; readonly planAt: (nowMs: number) => () => PlannedCertificate }
  | IssuanceRefusal
> {
  const publicKey = parseSubjectPublicKeyInfo(subjectPublicKeyInfo);
  if (!publicKey.ok) return { ok: false, code: 'csr_key_not_allowed' };
  const identified = await identifyPublicKey(publicKey.value);
  const issuer = (await loadIssuers())?.get(issuerId);
  if (issuer === undefined) return { ok: false, code: 'configuration_invalid' };
  const planAt = (nowMs: number) => () => ({
    issuerId,
    ...planCertificate(issuer, certificateProfiles[profile], deviceId, identified, nowMs),
  });
  return { ok: true, planAt };
}
