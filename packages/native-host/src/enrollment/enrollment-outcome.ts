import type { KeyProtection } from '../keystore/keystore.ts';
import { fail, type Result, succeed } from '../result.ts';
import type { Enrollment } from './enrollment-record.ts';
import { type CertificateSummary, summarizeCertificate } from './summarize-certificate.ts';

export type EnrollmentOutcome = {
  /** True when the device was enrolled before, and nothing was done. */
  readonly wasEnrolled: boolean;
  readonly brokerUrl: string;
  readonly organizationId: string;
  readonly deviceId: string;
  readonly certificate: CertificateSummary;
  readonly keyProtection: KeyProtection;
};

export function outcomeOf(
  enrollment: Enrollment,
  keyProtection: KeyProtection,
  wasEnrolled: boolean,
): Result<EnrollmentOutcome, 'key_unavailable'> {
  const certificate = summarizeCertificate(enrollment.leafCertificate);
  if (certificate === undefined) {
    return fail('key_unavailable', 'the certificate of the enrollment is damaged');
  }
  return succeed({
    wasEnrolled,
    brokerUrl: enrollment.brokerUrl,
    organizationId: enrollment.organizationId,
    deviceId: enrollment.deviceId,
    certificate,
    keyProtection,
  });
}
