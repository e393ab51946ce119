import type { HostStatus } from '@countersign/protocol/native-messages';
import type { Configuration } from '../configuration/configuration.ts';
import { readEnrollment } from '../enrollment/enrollment-record.ts';
import { hostVersion } from '../host-version.ts';
import { protectionOf } from '../keystore/open-keystores.ts';
import { fail, type Result, succeed } from '../result.ts';

/** What the popup and `countersign status` show. Reads files only: nothing is asked of key or broker. */
export async function readHostStatus(
  configuration: Configuration,
): Promise<Result<HostStatus, 'key_unavailable'>> {
  const enrollment = readEnrollment(configuration.stateDirectory);
  if (!enrollment.ok) return fail('key_unavailable', enrollment.detail);
  const base = {
    host_version: hostVersion,
    development: configuration.development,
    origins: [...configuration.origins],
  };
  if (enrollment.value === undefined) return succeed({ ...base, enrolled: false });
  const { brokerUrl, deviceId, leafCertificate } = enrollment.value;
  const { summarizeCertificate } = await import('../enrollment/summarize-certificate.ts');
  const certificate = summarizeCertificate(leafCertificate);
  if (certificate === undefined) {
    return fail('key_unavailable', 'the certificate of the enrollment is damaged');
  }
  return succeed({
    ...base,
    enrolled: true,
    broker_url: brokerUrl,
    device_id: deviceId,
    certificate,
    key_protection: protectionOf(configuration),
  });
}
