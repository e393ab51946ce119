import { createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import {
  assembleCertificate,
  buildIssuingCaToBeSigned,
  buildKeySetSignerToBeSigned,
  buildRootToBeSigned,
  buildScepRaToBeSigned,
  buildTlsServerToBeSigned,
  type CertificateToBeSigned,
  type CommonFields,
  decodePem,
  encodePem,
  identifyPublicKey,
  type ParsedCertificate,
  parseCertificate,
  parseSubjectPublicKeyInfo,
  serialNumberFromRandom,
  type X509Result,
} from '@countersign/x509';

/** The certificates that the server makes for itself. Device certificates are the broker's business. */

const dayMs = 86_400_000;
const yearMs = 365 * dayMs;
/** Authorities begin a day early, so that a device whose clock is behind is told so instead of "not yet valid". */
const backdatedMs = dayMs;
/** Browsers choose a client certificate by this name; administrators write it into their filters. */
export const issuerCommonName = 'MTLS Certificate Authority';
const rootYears = 20;
const issuerYears = 10;
const scepRaYears = 5;
const tlsServerYears = 1;

function expectMade<Value>(result: X509Result<Value>): Value {
  if (!result.ok) throw new Error(`certificate template: ${result.detail}`);
  return result.value;
}

async function identified(key: KeyObject) {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  return identifyPublicKey(expectMade(parseSubjectPublicKeyInfo(new Uint8Array(spki))));
}

async function commonFields(
  commonName: string,
  subjectKey: KeyObject,
  nowMs: number,
  validity: { readonly years: number; readonly backdatedMs: number },
): Promise<CommonFields> {
  return {
    serialNumber: serialNumberFromRandom(randomBytes(16)),
    commonName,
    notBeforeMs: nowMs - validity.backdatedMs,
    notAfterMs: nowMs + validity.years * yearMs,
    subjectPublicKey: await identified(subjectKey),
  };
}

async function signed(
  toBeSigned: X509Result<CertificateToBeSigned>,
  issuerKey: KeyObject,
): Promise<string> {
  const bytes = expectMade(toBeSigned).toBeSigned;
  const signature = sign('sha256', bytes, { key: issuerKey, dsaEncoding: 'ieee-p1363' });
  const issuer = await identified(issuerKey);
  return encodePem('CERTIFICATE', expectMade(assembleCertificate(bytes, signature, issuer)));
}

/** Reads one certificate of ours; anything else is a fault of the caller. */
export function parseOwnCertificate(pem: string): ParsedCertificate {
  return expectMade(parseCertificate(expectMade(decodePem(pem, 'CERTIFICATE'))));
}

export async function makeRootCertificate(key: KeyObject, nowMs: number): Promise<string> {
  const fields = await commonFields('Countersign Root Certificate Authority', key, nowMs, {
    years: rootYears,
    backdatedMs,
  });
  return signed(buildRootToBeSigned(fields), key);
}

/** @param key of the issuer, either half; `rootPem` the root's certificate; `rootKey` its private key */
export async function makeIssuerCertificate(
  key: KeyObject,
  rootPem: string,
  rootKey: KeyObject,
  nowMs: number,
): Promise<string> {
  const fields = await commonFields(issuerCommonName, key, nowMs, {
    years: issuerYears,
    backdatedMs,
  });
  return signed(buildIssuingCaToBeSigned(fields, parseOwnCertificate(rootPem)), rootKey);
}

/** @param rootPem the root's certificate; `rootKey` its private key */
export async function makeKeySetSignerCertificate(
  key: KeyObject,
  rootPem: string,
  rootKey: KeyObject,
  nowMs: number,
): Promise<string> {
  const fields = await commonFields('Countersign Key Set Signer', key, nowMs, {
    years: issuerYears,
    backdatedMs,
  });
  return signed(buildKeySetSignerToBeSigned(fields, parseOwnCertificate(rootPem)), rootKey);
}

/** @param issuerPem the issuing authority's certificate; `issuerKey` its private key */
export async function makeScepRaCertificate(
  key: KeyObject,
  issuerPem: string,
  issuerKey: KeyObject,
  nowMs: number,
): Promise<string> {
  const fields = await commonFields('Countersign SCEP Registration Authority', key, nowMs, {
    years: scepRaYears,
    backdatedMs,
  });
  return signed(buildScepRaToBeSigned(fields, parseOwnCertificate(issuerPem)), issuerKey);
}

/** Names that a TLS certificate is made for. */
export type ServerNames = {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly Uint8Array[];
};

/** Self-signed: whoever connects pins it or is given a certificate of the company's own instead. */
export async function makeTlsServerCertificate(
  key: KeyObject,
  names: ServerNames,
  nowMs: number,
): Promise<string> {
  const fields = await commonFields('Countersign edge server', key, nowMs, {
    years: tlsServerYears,
    backdatedMs: 3_600_000,
  });
  return signed(buildTlsServerToBeSigned({ ...fields, ...names }), key);
}
