import { underAuthority } from './ca-certificate.ts';
import type { ParsedCertificate } from './certificate.ts';
import {
  endEntityConstraints,
  extendedKeyUsageExtension,
  keyUsageExtension,
  ocspNoCheckExtension,
} from './encode-extension.ts';
import { oid } from './object-identifiers.ts';
import type { X509Result } from './result.ts';
import type { CertificateToBeSigned, CommonFields } from './to-be-signed.ts';

/**
 * The certificate of a key that answers about the issuer's certificates and does nothing else
 * (RFC 6960 §4.2.2.2). Its own status is not to be asked for, so it should live for days.
 */
export function buildOcspResponderToBeSigned(
  fields: CommonFields,
  issuer: ParsedCertificate,
): X509Result<CertificateToBeSigned> {
  return underAuthority(fields, issuer, [
    endEntityConstraints(),
    keyUsageExtension('digitalSignature'),
    extendedKeyUsageExtension(false, oid.ocspSigning),
    ocspNoCheckExtension(),
  ]);
}
