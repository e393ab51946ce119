import { underAuthority } from './ca-certificate.ts';
import type { ParsedCertificate } from './certificate.ts';
import { endEntityConstraints, keyUsageExtension } from './encode-extension.ts';
import type { X509Result } from './result.ts';
import type { CertificateToBeSigned, CommonFields } from './to-be-signed.ts';

/**
 * The certificate that SCEP clients encrypt to and whose key signs the answers (RFC 8894 section 2.1.2), under an
 * issuing authority. No extended key usage: none is assigned, and the issuer's fence has none for it.
 */
export function buildScepRaToBeSigned(
  fields: CommonFields,
  issuer: ParsedCertificate,
): X509Result<CertificateToBeSigned> {
  return underAuthority(fields, issuer, [
    endEntityConstraints(),
    keyUsageExtension('digitalSignature', 'keyEncipherment'),
  ]);
}
