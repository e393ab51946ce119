import { type OcspIssuerHashes, ocspIssuerHashes, parseCertificate } from '@countersign/x509';

export type OcspIssuer = { readonly issuerId: string; readonly hashes: OcspIssuerHashes };

/**
 * How questions name the issuers, computed once for each isolate.
 *
 * @param issuers with certificates that the settings have been checked for
 */
export function prepareOcspIssuers(
  issuers: readonly { readonly issuerId: string; readonly issuerCertificate: Uint8Array }[],
): () => Promise<readonly OcspIssuer[]> {
  let prepared: Promise<readonly OcspIssuer[]> | undefined;
  return () => {
    prepared ??= Promise.all(
      issuers.map(async ({ issuerId, issuerCertificate }) => {
        const certificate = parseCertificate(issuerCertificate);
        if (!certificate.ok) throw new Error(certificate.detail);
        return { issuerId, hashes: await ocspIssuerHashes(certificate.value) };
      }),
    );
    return prepared;
  };
}
