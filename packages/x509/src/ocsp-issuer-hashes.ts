import { type Bytes, hexOf } from './bytes.ts';
import type { ParsedCertificate } from './certificate.ts';
import type { OcspCertificateId, OcspHash } from './ocsp-request.ts';

/** How questions name one issuer, in lower-case hexadecimal, for each hash (RFC 6960 §4.1.1). */
export type OcspIssuerHashes = Readonly<
  Record<OcspHash, { readonly nameHash: string; readonly keyHash: string }>
>;

export async function ocspIssuerHashes(issuer: ParsedCertificate): Promise<OcspIssuerHashes> {
  const hashesWith = async (hash: OcspHash) => ({
    nameHash: await digest(hash, issuer.subject.der),
    keyHash: await digest(hash, issuer.subjectPublicKey.publicKeyBits),
  });
  return { 'SHA-1': await hashesWith('SHA-1'), 'SHA-256': await hashesWith('SHA-256') };
}

async function digest(hash: OcspHash, bytes: Bytes): Promise<string> {
  return hexOf(new Uint8Array(await crypto.subtle.digest(hash, bytes)));
}

/** Both hashes count: two issuers may have one name, and one key two names. */
export function namesIssuer(id: OcspCertificateId, hashes: OcspIssuerHashes): boolean {
  const { nameHash, keyHash } = hashes[id.hash];
  return id.issuerNameHash === nameHash && id.issuerKeyHash === keyHash;
}
