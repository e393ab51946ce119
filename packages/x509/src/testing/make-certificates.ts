import {
  assembleCertificate,
  type Bytes,
  buildIssuingCaToBeSigned,
  buildKeySetSignerToBeSigned,
  buildRootToBeSigned,
  type CertificateToBeSigned,
  type CommonFields,
  createLeafTemplate,
  type IdentifiedPublicKey,
  identifyPublicKey,
  type KeyKind,
  type LeafFields,
  type LeafProfile,
  type ParsedCertificate,
  parseCertificate,
  parseSubjectPublicKeyInfo,
  type SubjectPublicKey,
  serialNumberFromRandom,
  type X509Result,
} from '../index.ts';

/** The value of a result that a test relies on. */
export function must<T>(result: X509Result<T>): T {
  if (!result.ok) throw new Error(`${result.reason}: ${result.detail}`);
  return result.value;
}

export interface TestKey {
  readonly publicKey: IdentifiedPublicKey;
  readonly privateKey: CryptoKey;
}

const algorithms = {
  'ec-p256': { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  'ec-p384': { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' },
  rsa: {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
  },
};

export async function makeKey(kind: KeyKind = 'ec-p256'): Promise<TestKey> {
  const pair = await crypto.subtle.generateKey(algorithms[kind], true, ['sign', 'verify']);
  const spki = await exportSpki(pair.publicKey);
  const publicKey = await identifyPublicKey(must(parseSubjectPublicKeyInfo(spki)));
  return { publicKey, privateKey: pair.privateKey };
}

export async function exportSpki(key: CryptoKey): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.exportKey('spki', key));
}

/** Signature as WebCrypto gives it, with the algorithm that `kind` signs with. */
export async function signRaw(
  privateKey: CryptoKey,
  data: Bytes,
  kind: KeyKind = 'ec-p256',
): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.sign(algorithms[kind], privateKey, data));
}

export const day = 86_400_000;
export const start = Date.UTC(2026, 10, 21, 12, 0, 0);
export const testDeviceId = 'kDq3vVtS6oZkq0bTn1w5yHc2mXfR8aJ4';

let serials = 0;

/** Fields with a new serial number each time; tests override what they are about. */
export function fieldsFor(
  subjectPublicKey: IdentifiedPublicKey,
  overrides: Partial<CommonFields> = {},
): CommonFields {
  serials += 1;
  const random = new Uint8Array(16).fill(0xa5);
  new DataView(random.buffer).setUint32(12, serials);
  return {
    serialNumber: serialNumberFromRandom(random),
    commonName: 'Test',
    notBeforeMs: start,
    notAfterMs: start + 30 * day,
    subjectPublicKey,
    ...overrides,
  };
}

export async function sign(
  built: X509Result<CertificateToBeSigned>,
  issuerKey: TestKey,
): Promise<Bytes> {
  const { toBeSigned } = must(built);
  const { kind } = issuerKey.publicKey;
  const signature = await signRaw(issuerKey.privateKey, toBeSigned, kind);
  return must(assembleCertificate(toBeSigned, signature, issuerKey.publicKey));
}

export interface TestAuthority {
  readonly rootKey: TestKey;
  readonly root: ParsedCertificate;
  readonly issuingKey: TestKey;
  readonly issuingCa: ParsedCertificate;
}

/** A root for 20 years and an issuing authority for 10, valid from `start`. */
export async function makeAuthority(kind: KeyKind = 'ec-p256'): Promise<TestAuthority> {
  const [rootKey, issuingKey] = await Promise.all([makeKey(kind), makeKey(kind)]);
  const rootFields = fieldsFor(rootKey.publicKey, {
    commonName: 'Example Device Root',
    notAfterMs: Date.UTC(2046, 10, 21),
  });
  const root = must(parseCertificate(await sign(buildRootToBeSigned(rootFields), rootKey)));
  const caFields = fieldsFor(issuingKey.publicKey, {
    commonName: 'MTLS Certificate Authority',
    notAfterMs: Date.UTC(2036, 10, 21),
  });
  const issuingDer = await sign(buildIssuingCaToBeSigned(caFields, root), rootKey);
  return { rootKey, root, issuingKey, issuingCa: must(parseCertificate(issuingDer)) };
}

export function leafFields(
  publicKey: IdentifiedPublicKey,
  overrides: Partial<LeafFields> = {},
): LeafFields {
  return { ...fieldsFor(publicKey), deviceId: testDeviceId, ...overrides };
}

export async function makeLeaf(
  authority: TestAuthority,
  fields: LeafFields,
  profile: LeafProfile = {},
): Promise<Bytes> {
  const template = must(createLeafTemplate(authority.issuingCa, profile));
  return sign(template(fields), authority.issuingKey);
}

export async function makeKeySetSigner(
  authority: TestAuthority,
  publicKey: SubjectPublicKey,
): Promise<Bytes> {
  const fields = fieldsFor(await identifyPublicKey(publicKey), { commonName: 'Key set signer' });
  return sign(buildKeySetSignerToBeSigned(fields, authority.root), authority.rootKey);
}
