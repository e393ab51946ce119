import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import {
  assembleCertificationRequest,
  buildIssuingCaRequestInfo,
  createLeafTemplate,
  decodePemSequence,
  encodePem,
  type ParsedCertificate,
  parseCertificate,
  parseSubjectPublicKeyInfo,
  type SubjectPublicKey,
  verifyIssuingChain,
  type X509Result,
} from '@countersign/x509';
import { replaceFile } from '../data-directory/durable-files.ts';
import { type IssuerName, readIssuers, writeIssuers } from '../data-directory/issuers.ts';
import {
  issuerCommonName,
  makeIssuerCertificate,
  parseOwnCertificate,
} from '../data-directory/make-certificates.ts';
import type { DataDirectory } from '../data-directory/open-data-directory.ts';
import { newP256Key } from '../data-directory/private-key.ts';
import { keepScepRaCertificates } from '../data-directory/scep-ra.ts';
import { issuerRefused } from './issuer-error.ts';
import { issuerIdOf } from './issuer-files.ts';

/**
 * The first half of a rollover: a second issuer under the root, whose key may be here or kept elsewhere. Each step can
 * be taken again after a crash; the second issuer is there from the moment in which `issuers.json` names it as active.
 */

/** An issuer is worth a rollover only when it lasts. */
const shortestValidityMs = 90 * 86_400_000;

export type PreparedIssuer = {
  readonly name: IssuerName;
  /** As the broker names it. */
  readonly issuerId: string;
  readonly certificatePem: string;
};

function must<Value>(result: X509Result<Value>): Value {
  if (!result.ok) throw new Error(result.detail);
  return result.value;
}

function subjectPublicKeyOf(key: KeyObject): SubjectPublicKey {
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  return must(parseSubjectPublicKeyInfo(new Uint8Array(spki)));
}

/** The issuer whose certificate is awaited; its key is made if there is none yet. */
function ensureRequested({ paths }: DataDirectory): IssuerName {
  const issuers = readIssuers(paths);
  if (issuers.requested !== undefined) return issuers.requested;
  const { active, next } = issuers;
  if (active.length === 2) {
    throw issuerRefused(
      `There are two issuers, ${active.join(' and ')}: a rollover is under way, and the broker has room for no third one. Retire one of them first.`,
    );
  }
  const name: IssuerName = `issuer-${next}`;
  // What a crash left here was never named, so nobody has used it.
  replaceFile(paths.privateKey(name), newP256Key().pem);
  writeIssuers(paths, { active, requested: name, next: next + 1 });
  return name;
}

/** From here on the broker is to trust it. */
async function activate(
  { paths }: DataDirectory,
  name: IssuerName,
  certificatePem: string,
  nowMs: number,
): Promise<PreparedIssuer> {
  replaceFile(paths.certificate(name), certificatePem);
  await keepScepRaCertificates(paths, [name], nowMs);
  const { active, next } = readIssuers(paths);
  writeIssuers(paths, { active: [active[0], name], requested: undefined, next });
  return { name, issuerId: issuerIdOf(certificatePem), certificatePem };
}

/**
 * Makes a second issuer with the root key that is in the folder.
 *
 * @throws EdgeServerError `issuer_refused`
 */
export async function makeNewIssuer(data: DataDirectory, nowMs: number): Promise<PreparedIssuer> {
  const rootKeyPath = data.paths.privateKey('root');
  if (!existsSync(rootKeyPath)) {
    throw issuerRefused(
      `The root key is not here (${rootKeyPath}). Have it sign a request: countersign-server issuer csr, and then issuer import.`,
    );
  }
  const rootPem = data.rootCertificatePem;
  if (!createPublicKey(data.privateKey('root')).equals(createPublicKey(rootPem))) {
    throw issuerRefused(`${rootKeyPath} is not the key of ${data.paths.certificate('root')}.`);
  }
  const name = ensureRequested(data);
  const key = data.privateKey(name);
  const certificatePem = await makeIssuerCertificate(key, rootPem, data.privateKey('root'), nowMs);
  return await activate(data, name, certificatePem, nowMs);
}

export type IssuerRequest = {
  readonly name: IssuerName;
  /** PKCS#10 (RFC 2986), PEM. */
  readonly requestPem: string;
};

/**
 * Makes the key of a second issuer, and the request that the root, wherever it is, answers with a certificate. Asked
 * again, gives a request of the same key.
 *
 * @throws EdgeServerError `issuer_refused`
 */
export function requestIssuer(data: DataDirectory): IssuerRequest {
  const name = ensureRequested(data);
  const key = data.privateKey(name);
  const subjectPublicKey = subjectPublicKeyOf(key);
  const info = must(buildIssuingCaRequestInfo(subjectPublicKey, issuerCommonName));
  const signature = sign('sha256', info, { key, dsaEncoding: 'ieee-p1363' });
  const request = must(assembleCertificationRequest(info, signature, subjectPublicKey));
  return { name, requestPem: encodePem('CERTIFICATE REQUEST', request) };
}

function parseChain(chainPem: string): readonly ParsedCertificate[] {
  // OpenSSL writes what a certificate says above each block, and files are put together with cat.
  const blocks = chainPem.match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----/g) ?? [];
  const ders = decodePemSequence(`${blocks.join('\n')}\n`, 'CERTIFICATE');
  if (!ders.ok) throw issuerRefused(`The chain is not PEM certificates: ${ders.detail}.`);
  return ders.value.map((der, index) => {
    const parsed = parseCertificate(der);
    if (parsed.ok) return parsed.value;
    throw issuerRefused(
      `Certificate ${index + 1} of the chain cannot be read (${parsed.reason}): ${parsed.detail}.`,
    );
  });
}

/** The issuing certificate of a chain that came back, after every check. */
async function checkChain(
  data: DataDirectory,
  chainPem: string,
  key: SubjectPublicKey,
  nowMs: number,
): Promise<ParsedCertificate> {
  const pinned = parseOwnCertificate(data.rootCertificatePem);
  const given = parseChain(chainPem);
  const chain = await verifyIssuingChain(
    given.length === 1 ? [...given, pinned] : given,
    key,
    nowMs,
  );
  if (!chain.ok) {
    throw issuerRefused(`The chain is refused (${chain.reason}): ${chain.detail}.`);
  }
  const { issuingCa, root } = chain.value;
  if (!Buffer.from(root.der).equals(pinned.der)) {
    throw issuerRefused(
      'The chain ends in another root. Devices pin theirs: only the root of this organization can have an issuer under it.',
    );
  }
  const template = createLeafTemplate(issuingCa);
  if (!template.ok) throw issuerRefused(`The certificate cannot issue: ${template.detail}.`);
  if (issuingCa.subject.commonName !== issuerCommonName) {
    throw issuerRefused(
      `The certificate is called "${issuingCa.subject.commonName ?? ''}", not "${issuerCommonName}": browsers are told by that name which certificates to present.`,
    );
  }
  if (issuingCa.notAfterMs - nowMs < shortestValidityMs) {
    throw issuerRefused(
      `The certificate ends on ${new Date(issuingCa.notAfterMs).toISOString()}, in less than 90 days.`,
    );
  }
  return issuingCa;
}

/**
 * Takes the certificate that the root has made for the request.
 *
 * @param chainPem the issuing certificate, with or without the root's
 * @throws EdgeServerError `issuer_refused`, saying what is wrong with the chain
 */
export async function importIssuerChain(
  data: DataDirectory,
  chainPem: string,
  nowMs: number,
): Promise<PreparedIssuer> {
  const { requested } = readIssuers(data.paths);
  if (requested === undefined) {
    throw issuerRefused('No certificate is awaited. Begin with countersign-server issuer csr.');
  }
  const key = createPrivateKey(readFileSync(data.paths.privateKey(requested)));
  const issuingCa = await checkChain(data, chainPem, subjectPublicKeyOf(key), nowMs);
  return await activate(data, requested, encodePem('CERTIFICATE', issuingCa.der), nowMs);
}
