import {
  assembleCertificate,
  createLeafTemplate,
  type IdentifiedPublicKey,
  type LeafTemplate,
  type ParsedCertificate,
  parseCertificate,
  serialNumberFromRandom,
  type X509Result,
} from '@countersign/x509';
import type { CertificateProfile } from './certificate-profile.ts';
import { crlPath, crlShardOf, issuerCertificatePath, ocspPath } from './crl-shard.ts';

/** An issuing certificate authority, prepared once for an isolate. */
export type Issuer = {
  /** base64url SHA-256 of the issuing certificate. */
  readonly id: string;
  readonly certificate: ParsedCertificate;
  readonly template: LeafTemplate;
  readonly privateKey: CryptoKey;
  readonly leafCommonName: string;
  /** Origin in its certificates. */
  readonly pkiUrl: string;
};

export type IssuerSource = {
  readonly issuerId: string;
  readonly issuerCertificate: Uint8Array;
  readonly issuerKey: CryptoKey;
  readonly leafCommonName: string;
};

/**
 * Reads the issuing certificate and prepares its template. Throws when the certificate cannot issue.
 *
 * @param pkiUrl origin that certificates name for revocation and for the issuer's certificate
 */
export function loadIssuer(source: IssuerSource, pkiUrl: string): Issuer {
  const certificate = expectMade(parseCertificate(source.issuerCertificate));
  const profile = {
    ocspUri: `${pkiUrl}${ocspPath}`,
    issuerUri: `${pkiUrl}${issuerCertificatePath(source.issuerId)}`,
  };
  return {
    id: source.issuerId,
    certificate,
    template: expectMade(createLeafTemplate(certificate, profile)),
    privateKey: source.issuerKey,
    leafCommonName: source.leafCommonName,
    pkiUrl,
  };
}

/** A certificate as it will be signed; nothing of it comes from the requester but the key. */
export type CertificatePlan = {
  readonly serialNumber: Uint8Array;
  /** The list of its issuer that it would be on. */
  readonly crlShard: number;
  readonly toBeSigned: Uint8Array<ArrayBuffer>;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
};

/** Builds the to-be-signed bytes of a device certificate. Synchronous: it runs between a check and its write. */
export function planCertificate(
  issuer: Issuer,
  profile: CertificateProfile,
  deviceId: string,
  subjectPublicKey: IdentifiedPublicKey,
  nowMs: number,
): CertificatePlan {
  const serialNumber = serialNumberFromRandom(crypto.getRandomValues(new Uint8Array(16)));
  const crlShard = crlShardOf(serialNumber);
  const planned = expectMade(
    issuer.template({
      serialNumber,
      crlDistributionPoint: `${issuer.pkiUrl}${crlPath(issuer.id, crlShard)}`,
      deviceId,
      subjectPublicKey,
      commonName: issuer.leafCommonName,
      notBeforeMs: nowMs - profile.backdateMs,
      notAfterMs: nowMs + profile.validityMs,
    }),
  );
  return { serialNumber, crlShard, ...planned };
}

/**
 * Signs the to-be-signed bytes of a stored intent. The only use of an issuing key in the broker.
 *
 * @returns the certificate, DER
 */
export async function signCertificate(
  issuer: Issuer,
  toBeSigned: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(toBeSigned);
  const signature = await crypto.subtle.sign(
    { name: 'ECDSA', hash: 'SHA-256' },
    issuer.privateKey,
    bytes,
  );
  return expectMade(
    assembleCertificate(bytes, new Uint8Array(signature), issuer.certificate.subjectPublicKey),
  );
}

/** For values that this deployment made itself: a failure is a broken deployment, not an answer to somebody. */
function expectMade<Value>(result: X509Result<Value>): Value {
  if (result.ok) return result.value;
  throw new Error(`${result.reason}: ${result.detail}`);
}
