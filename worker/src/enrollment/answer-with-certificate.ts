import { encodeBase64url } from '@countersign/protocol';
import type { CertificateProfileName } from '@countersign/protocol/certificate-life';
import type { EnrollmentAnswer } from '@countersign/protocol/enrollment';
import { parseCertificate } from '@countersign/x509';
import { certificateProfiles } from '../ca/certificate-profile.ts';
import type { EnrollmentContext, EnrollmentRefusal } from './enrollment-context.ts';

/** The certificate with everything that the host keeps beside it. */
export function answerWith(
  context: EnrollmentContext,
  issued: {
    readonly certificate: Uint8Array;
    readonly issuerId: string;
    readonly deviceId: string;
    readonly profile: CertificateProfileName;
  },
): { readonly ok: true; readonly answer: EnrollmentAnswer } | EnrollmentRefusal {
  const issuer = context.issuers.find(({ issuerId }) => issuerId === issued.issuerId);
  const parsed = parseCertificate(issued.certificate);
  // A certificate on record whose issuer the settings lack, as with an older copy of the keys.
  if (issuer === undefined || !parsed.ok) return { ok: false, code: 'configuration_invalid' };
  const { renewBeforeMs } = certificateProfiles[issued.profile];
  return {
    ok: true,
    answer: {
      certificate: encodeBase64url(issued.certificate),
      issuer_certificate: encodeBase64url(issuer.issuerCertificate),
      root_certificate: encodeBase64url(context.rootCertificate),
      device_id: issued.deviceId,
      organization_id: context.organizationId,
      broker_url: context.brokerUrl,
      key_set: context.keySet,
      renew_after: new Date(parsed.value.notAfterMs - renewBeforeMs).toISOString(),
    },
  };
}
