import type { ParsedCertificate } from './certificate.ts';
import { fail, succeed, type X509Result } from './result.ts';

const deviceUriPrefix = 'urn:countersign:device:';

/** Letters, digits, hyphen, underscore: base64url and hexadecimal both fit; case matters. */
const deviceIdPattern = /^[A-Za-z0-9_-]{16,86}$/;

/** The SAN URI (RFC 5280 §4.2.1.6) that names a device in its certificates. */
export function deviceUriOf(deviceId: string): X509Result<string> {
  return deviceIdPattern.test(deviceId)
    ? succeed(`${deviceUriPrefix}${deviceId}`)
    : fail('field_not_allowed', 'deviceId: 16 to 86 characters of A-Z a-z 0-9 - _');
}

/**
 * The device id that a certificate names. The SAN must hold that one name and nothing else. Until
 * the certificate is known to be ours this is a claim.
 */
export function readDeviceUri(certificate: ParsedCertificate): X509Result<string> {
  const names = certificate.extensions.subjectAltName;
  if (names === undefined) return fail('device_uri_missing', 'subjectAltName: absent');
  const [uri, another] = names.uris;
  if (uri === undefined) return fail('device_uri_missing', 'subjectAltName: no URI');
  if (another !== undefined || names.otherNames > 0) {
    return fail('device_uri_not_allowed', 'subjectAltName: more than one name');
  }
  const deviceId = uri.slice(deviceUriPrefix.length);
  return uri.startsWith(deviceUriPrefix) && deviceIdPattern.test(deviceId)
    ? succeed(deviceId)
    : fail('device_uri_not_allowed', 'subjectAltName: URI is not that of a device');
}
