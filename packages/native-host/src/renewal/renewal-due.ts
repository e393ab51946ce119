import { parseCertificate } from '@countersign/x509';
import type { Enrollment } from '../enrollment/enrollment-record.ts';

const daySeconds = 86_400;

/**
 * From when on the device asks for a renewal. The broker said so with the certificate; an enrollment that was stored
 * before brokers did is renewed thirty days before its end, or at half of its life where that is later.
 */
export function renewAfterSeconds({
  renewAfterSeconds: told,
  leafCertificate,
}: Pick<Enrollment, 'renewAfterSeconds' | 'leafCertificate'>): number {
  if (told !== undefined) return told;
  const certificate = parseCertificate(leafCertificate);
  if (!certificate.ok) return 0;
  const notBefore = certificate.value.notBeforeMs / 1000;
  const notAfter = certificate.value.notAfterMs / 1000;
  return Math.max(notAfter - 30 * daySeconds, (notBefore + notAfter) / 2);
}

/** Between two tries of which the first failed, in seconds: a quarter of an hour, then twice as long, up to a day. */
export function retryAfterSeconds(failures: number): number {
  return Math.min(daySeconds, 900 * 2 ** Math.min(Math.max(failures, 1) - 1, 10));
}

/** What is on record about tries that failed since the last renewal. */
export type RenewalAttempts = {
  readonly failures: number;
  readonly lastAtSeconds: number;
  /** The answer to a change of keys got lost: it is asked for again, whether or not a renewal is due. */
  readonly rekeyIsOpen?: boolean;
};

/** Is a renewal to be tried now? A clock that went back makes nobody wait. */
export function isRenewalDue(
  enrollment: Pick<Enrollment, 'renewAfterSeconds' | 'leafCertificate'>,
  attempts: RenewalAttempts | undefined,
  nowSeconds: number,
): boolean {
  if (attempts?.rekeyIsOpen !== true && nowSeconds < renewAfterSeconds(enrollment)) return false;
  if (attempts === undefined || attempts.failures === 0) return true;
  const waited = nowSeconds - attempts.lastAtSeconds;
  return waited < 0 || waited >= retryAfterSeconds(attempts.failures);
}
