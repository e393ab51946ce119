import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { decodePem, parseCertificationRequest, verifyProofOfPossession } from '@countersign/x509';
import {
  issuerCommonName,
  makeIssuerCertificate,
  parseOwnCertificate,
} from '../data-directory/make-certificates.ts';
import { errorText } from '../edge-server-error.ts';
import { issuerRefused } from './issuer-error.ts';

function readRootKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw issuerRefused(`The root key cannot be read (${errorText(error)}).`, { cause: error });
  }
}

/**
 * What the root does with a request, on the machine where its key is kept: a certificate of our profile for the
 * request's key. Nothing else of the request is taken over.
 *
 * @returns the issuing certificate and the root's, PEM
 * @throws EdgeServerError `issuer_refused`
 */
export async function signIssuerRequest(
  requestPem: string,
  rootCertificatePem: string,
  rootKeyPem: string,
  nowMs: number,
): Promise<string> {
  const der = decodePem(requestPem, 'CERTIFICATE REQUEST');
  const request = der.ok ? parseCertificationRequest(der.value) : der;
  if (!request.ok) throw issuerRefused(`The request cannot be read: ${request.detail}.`);
  const proven = await verifyProofOfPossession(request.value);
  if (!proven.ok) throw issuerRefused(`The request is not signed by its key: ${proven.detail}.`);
  if (proven.value.kind !== 'ec-p256' || request.value.subject.commonName !== issuerCommonName) {
    throw issuerRefused('The request is not one of countersign-server issuer csr.');
  }
  const rootKey = readRootKey(rootKeyPem);
  let root: string;
  try {
    parseOwnCertificate(rootCertificatePem);
    root = rootCertificatePem;
  } catch (error) {
    throw issuerRefused(`The root certificate cannot be read (${errorText(error)}).`);
  }
  if (!createPublicKey(rootKey).equals(createPublicKey(root))) {
    throw issuerRefused('The root key is not the one of the root certificate.');
  }
  const key = createPublicKey({
    key: Buffer.from(proven.value.spki),
    format: 'der',
    type: 'spki',
  });
  return `${await makeIssuerCertificate(key, root, rootKey, nowMs)}${root}`;
}
