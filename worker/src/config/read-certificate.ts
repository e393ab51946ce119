import { decodePem, type ParsedCertificate, parseCertificate } from '@countersign/x509';
import { SettingError } from './setting-error.ts';

/**
 * @param raw one PEM certificate
 * @throws SettingError
 */
export function readCertificate(setting: string, raw: unknown): ParsedCertificate {
  if (typeof raw !== 'string' || raw === '') throw new SettingError(setting, 'is missing');
  const der = decodePem(raw, 'CERTIFICATE');
  if (!der.ok) throw new SettingError(setting, `is not one PEM certificate: ${der.detail}`);
  const parsed = parseCertificate(der.value);
  if (!parsed.ok) throw new SettingError(setting, `is not a certificate: ${parsed.detail}`);
  return parsed.value;
}
