import { createHash, X509Certificate } from 'node:crypto';
import type { HostStatus } from '@countersign/protocol/native-messages';

export type CertificateSummary = NonNullable<HostStatus['certificate']>;

/** What people need to know of a certificate; fingerprint in base64url, times in RFC 3339. `undefined` when it is not one. */
export function summarizeCertificate(der: Uint8Array): CertificateSummary | undefined {
  try {
    const certificate = new X509Certificate(der);
    return {
      fingerprint_sha256: createHash('sha256').update(certificate.raw).digest('base64url'),
      not_before: certificate.validFromDate.toISOString(),
      not_after: certificate.validToDate.toISOString(),
      issuer: certificate.issuer,
    };
  } catch {
    return undefined;
  }
}
