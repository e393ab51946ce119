import { equalBytes } from './bytes.ts';
import { type ParsedCertificate, verifyCertificateSignature } from './certificate.ts';
import { keySetSigningOid, oid } from './object-identifiers.ts';
import { attempt, X509Error, type X509Result } from './result.ts';

/** What a certificate is about to be used for. */
export type CertificatePurpose = 'issuing-ca' | 'device' | 'key-set-signer' | 'scep-ra';

/**
 * Verifies one certificate under an issuer that the caller already trusts, for one purpose, at one
 * time. There is no path building: a chain is this function called once for each link, from the
 * pinned root down. In order: both are valid at `nowMs`; the issuer may issue; names and key
 * identifiers chain; the certificate is of the purpose; the signature is the issuer's. Revocation
 * is not looked at.
 */
export async function verifyIssuedBy(
  unverifiedCertificate: ParsedCertificate,
  issuer: ParsedCertificate,
  purpose: CertificatePurpose,
  nowMs: number,
): Promise<X509Result<ParsedCertificate>> {
  const checked = attempt(() => {
    assertValidAt(issuer, nowMs, 'issuer');
    assertValidAt(unverifiedCertificate, nowMs, 'certificate');
    assertIssuer(issuer, purpose);
    assertChains(unverifiedCertificate, issuer);
    assertPurpose(unverifiedCertificate, purpose);
    return unverifiedCertificate;
  });
  if (!checked.ok) return checked;
  const signed = await verifyCertificateSignature(unverifiedCertificate, issuer.subjectPublicKey);
  return signed.ok ? checked : signed;
}

function assertValidAt(certificate: ParsedCertificate, nowMs: number, what: string): void {
  // Written so that a time that is not a number is refused too.
  if (!(nowMs >= certificate.notBeforeMs)) {
    throw new X509Error('not_yet_valid', `${what}: not yet valid`);
  }
  // notAfter is the last second of validity, and all of it counts (RFC 5280 §4.1.2.5).
  if (!(nowMs < certificate.notAfterMs + 1000)) throw new X509Error('expired', `${what}: expired`);
}

function assertIssuer(issuer: ParsedCertificate, purpose: CertificatePurpose): void {
  const { basicConstraints, keyUsage, extendedKeyUsage } = issuer.extensions;
  if (basicConstraints?.isCa !== true || !basicConstraints.isCritical) {
    throw new X509Error('issuer_not_allowed', 'issuer: not a certificate authority');
  }
  if (keyUsage?.includes('keyCertSign') !== true) {
    throw new X509Error('issuer_not_allowed', 'issuer: may not sign certificates');
  }
  if (purpose === 'issuing-ca' && basicConstraints.pathLength === 0) {
    throw new X509Error('issuer_not_allowed', 'issuer: path length is used up');
  }
  const needed = purpose === 'key-set-signer' ? keySetSigningOid : oid.clientAuth;
  if (extendedKeyUsage !== undefined && !extendedKeyUsage.includes(needed)) {
    throw new X509Error('issuer_not_allowed', 'issuer: fenced off from this purpose');
  }
}

function assertChains(certificate: ParsedCertificate, issuer: ParsedCertificate): void {
  const { authorityKeyIdentifier } = certificate.extensions;
  const { subjectKeyIdentifier } = issuer.extensions;
  const namesChain = equalBytes(certificate.issuer.der, issuer.subject.der);
  const keysChain =
    authorityKeyIdentifier !== undefined &&
    subjectKeyIdentifier !== undefined &&
    equalBytes(authorityKeyIdentifier, subjectKeyIdentifier);
  if (!namesChain || !keysChain) {
    throw new X509Error('issuer_mismatch', 'certificate: made under another issuer');
  }
}

function assertPurpose(certificate: ParsedCertificate, purpose: CertificatePurpose): void {
  const { basicConstraints, keyUsage, extendedKeyUsage } = certificate.extensions;
  const isCa = basicConstraints?.isCa === true;
  const usages = keyUsage?.join() ?? '';
  const purposes = extendedKeyUsage?.join() ?? '';
  const fits =
    purpose === 'issuing-ca'
      ? isCa &&
        basicConstraints.isCritical &&
        basicConstraints.pathLength === 0 &&
        usages === 'keyCertSign,crlSign' &&
        purposes === `${oid.clientAuth},${oid.ocspSigning}`
      : purpose === 'scep-ra'
        ? !isCa && usages === 'digitalSignature,keyEncipherment' && purposes === ''
        : !isCa &&
          usages === 'digitalSignature' &&
          purposes === (purpose === 'device' ? oid.clientAuth : keySetSigningOid);
  if (!fits) throw new X509Error('purpose_not_allowed', `certificate: profile is not ${purpose}`);
}
