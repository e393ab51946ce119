import {
  assembleCertificate,
  type Bytes,
  buildIssuingCaToBeSigned,
  buildKeySetSignerToBeSigned,
  buildRootToBeSigned,
  buildTlsServerToBeSigned,
  type CertificateToBeSigned,
  createLeafTemplate,
  encodePem,
  type IdentifiedPublicKey,
  identifyPublicKey,
  type LeafFields,
  type ParsedCertificate,
  parseCertificate,
  parseSubjectPublicKeyInfo,
  serialNumberFromRandom,
  type X509Result,
} from '@countersign/x509';

/** Certificates of every kind that the product makes, for outside judges to look at. */

export function must<T>(result: X509Result<T>): T {
  if (!result.ok) throw new Error(`${result.reason}: ${result.detail}`);
  return result.value;
}

export interface Key {
  readonly publicKey: IdentifiedPublicKey;
  readonly privateKey: CryptoKey;
}

export async function identified(spki: Uint8Array): Promise<IdentifiedPublicKey> {
  return identifyPublicKey(must(parseSubjectPublicKeyInfo(spki)));
}

export async function makeKey(namedCurve: 'P-256' | 'P-384' = 'P-256'): Promise<Key> {
  const algorithm = { name: 'ECDSA', namedCurve };
  const pair = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const spki = await crypto.subtle.exportKey('spki', pair.publicKey);
  return { publicKey: await identified(new Uint8Array(spki)), privateKey: pair.privateKey };
}

export async function privateKeyPem({ privateKey }: Key): Promise<string> {
  return encodePem(
    'PRIVATE KEY',
    new Uint8Array(await crypto.subtle.exportKey('pkcs8', privateKey)),
  );
}

export async function signWith(
  issuer: Key,
  built: X509Result<CertificateToBeSigned>,
): Promise<ParsedCertificate> {
  const { toBeSigned } = must(built);
  const hash = issuer.publicKey.kind === 'ec-p384' ? 'SHA-384' : 'SHA-256';
  const algorithm = { name: 'ECDSA', hash };
  const signature = await crypto.subtle.sign(algorithm, issuer.privateKey, toBeSigned);
  const der = assembleCertificate(toBeSigned, new Uint8Array(signature), issuer.publicKey);
  return must(parseCertificate(must(der)));
}

export const pemOf = (certificate: ParsedCertificate): string =>
  encodePem('CERTIFICATE', certificate.der);

export const newSerialNumber = (): Bytes =>
  serialNumberFromRandom(crypto.getRandomValues(new Uint8Array(16)));

const day = 86_400_000;
/** In the middle of a second, to see the fraction dropped. */
const now = Math.floor(Date.now() / 1000) * 1000 + 321;

export const deviceId = 'kDq3vVtS6oZkq0bTn1w5yHc2mXfR8aJ4';
export const crlUri = 'http://broker.example/crl/3.crl';
export const ocspUri = 'http://broker.example/ocsp';

export interface Chain {
  readonly rootKey: Key;
  readonly root: ParsedCertificate;
  readonly issuingKey: Key;
  readonly issuingCa: ParsedCertificate;
  readonly deviceKey: Key;
  readonly leaf: ParsedCertificate;
  readonly signer: ParsedCertificate;
  readonly leafFields: LeafFields;
  issueLeaf(overrides: Partial<LeafFields>): Promise<ParsedCertificate>;
}

export async function makeChain(curve: 'P-256' | 'P-384' = 'P-256'): Promise<Chain> {
  const rootKey = await makeKey(curve);
  const rootFields = {
    serialNumber: newSerialNumber(),
    commonName: 'Example Device Root',
    notBeforeMs: now - day,
    // Beyond 2049, where the form of the time changes.
    notAfterMs: Date.UTC(2051, 0, 1),
    subjectPublicKey: rootKey.publicKey,
  };
  const root = await signWith(rootKey, buildRootToBeSigned(rootFields));

  const issuingKey = await makeKey(curve);
  const issuingFields = {
    serialNumber: newSerialNumber(),
    commonName: 'MTLS Certificate Authority',
    notBeforeMs: now - day,
    notAfterMs: Date.UTC(2040, 0, 1),
    subjectPublicKey: issuingKey.publicKey,
  };
  const issuingCa = await signWith(rootKey, buildIssuingCaToBeSigned(issuingFields, root));

  const signerKey = await makeKey();
  const signerFields = {
    ...issuingFields,
    serialNumber: newSerialNumber(),
    commonName: 'Countersign Key Set Signer',
    subjectPublicKey: signerKey.publicKey,
  };
  const signer = await signWith(rootKey, buildKeySetSignerToBeSigned(signerFields, root));

  const deviceKey = await makeKey();
  const template = must(createLeafTemplate(issuingCa, { ocspUri }));
  const leafFields = {
    serialNumber: newSerialNumber(),
    commonName: 'Gerät 7',
    notBeforeMs: now,
    notAfterMs: now + 30 * day,
    subjectPublicKey: deviceKey.publicKey,
    deviceId,
    crlDistributionPoint: crlUri,
  };
  const issueLeaf = (overrides: Partial<LeafFields>) =>
    signWith(
      issuingKey,
      template({ ...leafFields, serialNumber: newSerialNumber(), ...overrides }),
    );
  const leaf = await signWith(issuingKey, template(leafFields));
  return { rootKey, root, issuingKey, issuingCa, deviceKey, leaf, signer, leafFields, issueLeaf };
}

/** A self-signed certificate for a server on this machine, and its key. */
export async function makeLocalServer(): Promise<{ certificate: ParsedCertificate; key: Key }> {
  const key = await makeKey();
  const built = buildTlsServerToBeSigned({
    serialNumber: newSerialNumber(),
    commonName: 'Countersign on this machine',
    notBeforeMs: now - day,
    notAfterMs: now + 30 * day,
    subjectPublicKey: key.publicKey,
    dnsNames: ['localhost'],
    ipAddresses: [
      new Uint8Array([127, 0, 0, 1]),
      new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
    ],
  });
  return { certificate: await signWith(key, built), key };
}
