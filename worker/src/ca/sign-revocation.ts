import {
  assembleCertificate,
  assembleCrl,
  buildCrlToBeSigned,
  buildOcspResponderToBeSigned,
  type CrlFields,
  type IdentifiedPublicKey,
  type ParsedCertificate,
  parseCertificate,
  serialNumberFromRandom,
  type X509Result,
} from '@countersign/x509';
import type { Issuer } from './issuer.ts';

/** How long an OCSP responder's certificate lives; nobody asks about its status, so it lives for days. */
export const responderValidityMs = 7 * 86_400_000;

/** Responders begin a little earlier, for those whose clocks are behind. */
const responderBackdateMs = 3_600_000;

const responderCommonName = 'OCSP responder';

/**
 * Builds and signs a revocation list. What is signed is made here from the fields: no bytes of anybody else's.
 *
 * @returns CertificateList, DER
 */
export async function signCrl(
  issuer: Issuer,
  fields: CrlFields,
): Promise<X509Result<Uint8Array<ArrayBuffer>>> {
  const toBeSigned = buildCrlToBeSigned(fields, issuer.certificate);
  if (!toBeSigned.ok) return toBeSigned;
  const signature = await signWith(issuer, toBeSigned.value);
  return assembleCrl(toBeSigned.value, signature, issuer.certificate);
}

/** A responder's certificate before it is signed: recorded first, as every certificate is. */
export type ResponderPlan = {
  readonly serialNumber: Uint8Array;
  readonly toBeSigned: Uint8Array<ArrayBuffer>;
  readonly notAfterMs: number;
};

export function planOcspResponder(
  issuer: Issuer,
  publicKey: IdentifiedPublicKey,
  nowMs: number,
): X509Result<ResponderPlan> {
  const serialNumber = serialNumberFromRandom(crypto.getRandomValues(new Uint8Array(16)));
  const fields = {
    serialNumber,
    commonName: responderCommonName,
    notBeforeMs: nowMs - responderBackdateMs,
    notAfterMs: nowMs + responderValidityMs,
    subjectPublicKey: publicKey,
  };
  const built = buildOcspResponderToBeSigned(fields, issuer.certificate);
  return built.ok ? { ok: true, value: { serialNumber, ...built.value } } : built;
}

/** Signs what `planOcspResponder` gave, once it is on record. */
export async function signOcspResponderCertificate(
  issuer: Issuer,
  plan: ResponderPlan,
): Promise<X509Result<ParsedCertificate>> {
  const signature = await signWith(issuer, plan.toBeSigned);
  const der = assembleCertificate(plan.toBeSigned, signature, issuer.certificate.subjectPublicKey);
  return der.ok ? parseCertificate(der.value) : der;
}

async function signWith(issuer: Issuer, bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
  return new Uint8Array(await crypto.subtle.sign(algorithm, issuer.privateKey, bytes));
}
