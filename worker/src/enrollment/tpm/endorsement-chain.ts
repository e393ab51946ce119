import { type ParsedCertificate, verifyCertificateSignature } from '@countersign/x509';

/** Why a certificate does not stand under one of the roots. */
export type ChainFailure = {
  readonly ok: false;
  readonly reason: 'untrusted' | 'expired';
  readonly detail: string;
};

/** tcg-kp-EKCertificate (TCG EK Credential Profile for TPM 2.0, section 3.2). */
export const endorsementPurpose = '2.23.133.8.1';
/** RFC 5280 section 4.2.1.12; never in place of the purpose itself in the certificate of the endorsement key. */
const anyPurpose = '2.5.29.37.0';

export function isValidAt({ notBeforeMs, notAfterMs }: ParsedCertificate, nowMs: number): boolean {
  // notAfter is the last second of validity, and all of it counts.
  return nowMs >= notBeforeMs && nowMs < notAfterMs + 1000;
}

/** Names and, where both have them, key identifiers (RFC 5280 section 6.1.3; the makers of TPMs leave some out). */
function namesIssuer(certificate: ParsedCertificate, issuer: ParsedCertificate): boolean {
  const { authorityKeyIdentifier } = certificate.extensions;
  const { subjectKeyIdentifier } = issuer.extensions;
  const sameBytes = (one: Uint8Array, other: Uint8Array) =>
    one.length === other.length && one.every((byte, index) => byte === other[index]);
  return (
    sameBytes(certificate.issuer.der, issuer.subject.der) &&
    (authorityKeyIdentifier === undefined ||
      subjectKeyIdentifier === undefined ||
      sameBytes(authorityKeyIdentifier, subjectKeyIdentifier))
  );
}

/** Why this certificate may issue none for endorsement keys; `undefined` where it may. `below`: authorities under it. */
function findFault({ extensions }: ParsedCertificate, below: number): string | undefined {
  const { basicConstraints, keyUsage, extendedKeyUsage } = extensions;
  if (basicConstraints?.isCa !== true) return 'an issuer is not a certificate authority';
  const { pathLength } = basicConstraints;
  if (pathLength !== undefined && pathLength < below)
    return 'the path length of an issuer is used up';
  if (keyUsage?.includes('keyCertSign') !== true) return 'an issuer may not sign certificates';
  const isFencedOff =
    extendedKeyUsage !== undefined &&
    !extendedKeyUsage.includes(endorsementPurpose) &&
    !extendedKeyUsage.includes(anyPurpose);
  return isFencedOff ? 'an issuer is for other purposes' : undefined;
}

/**
 * Looks for a way from a certificate up to one of the roots. Each intermediate is stepped on at most once, so a sender
 * decides about as many signature checks as there are certificates. Revocation is not looked at: makers of TPMs hardly
 * publish any.
 */
export async function climbToRoot(
  certificate: ParsedCertificate,
  roots: readonly ParsedCertificate[],
  intermediates: readonly ParsedCertificate[],
  nowMs: number,
): Promise<{ readonly ok: true } | ChainFailure> {
  let failure: ChainFailure = {
    ok: false,
    reason: 'untrusted',
    detail: 'no way leads to an attestation root of the integration',
  };
  const isIssuer = async (child: ParsedCertificate, issuer: ParsedCertificate, below: number) => {
    if (!namesIssuer(child, issuer)) return false;
    const fault = findFault(issuer, below);
    const signed = await verifyCertificateSignature(child, issuer.subjectPublicKey);
    if (!signed.ok || fault !== undefined) {
      failure = {
        ok: false,
        reason: 'untrusted',
        detail: signed.ok ? (fault ?? '') : signed.detail,
      };
      return false;
    }
    if (isValidAt(issuer, nowMs)) return true;
    failure = { ok: false, reason: 'expired', detail: 'an issuer is not valid at this time' };
    return false;
  };
  const unused = new Set(intermediates);
  const climb = async (child: ParsedCertificate, below: number): Promise<boolean> => {
    for (const root of roots) if (await isIssuer(child, root, below)) return true;
    for (const intermediate of unused) {
      if (!(await isIssuer(child, intermediate, below))) continue;
      unused.delete(intermediate);
      if (await climb(intermediate, below + 1)) return true;
    }
    return false;
  };
  return (await climb(certificate, 0)) ? { ok: true } : failure;
}
