import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';
import {
  assembleCertificate,
  buildIssuingCaToBeSigned,
  buildKeySetSignerToBeSigned,
  buildRootToBeSigned,
  type CertificateToBeSigned,
  identifyPublicKey,
  type ParsedCertificate,
  parseCertificate,
  parseSubjectPublicKeyInfo,
  serialNumberFromRandom,
  type X509Result,
} from '@countersign/x509';

const dayMs = 86_400_000;
const yearMs = 365 * dayMs;

export type TestKey = {
  readonly privateKey: KeyObject;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  readonly publicJwk: {
    readonly kty: 'EC';
    readonly crv: 'P-256';
    readonly x: string;
    readonly y: string;
  };
  /** RFC 7638 thumbprint. */
  readonly kid: string;
};

export type MadeCertificate = {
  readonly privateKey: KeyObject;
  readonly certificate: ParsedCertificate;
};
export type Authority = MadeCertificate;

/** A P-256 key pair. */
export function makeTestKey(): TestKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const publicJwk = { kty: 'EC', crv: 'P-256', x, y } as const;
  const thumbprintInput = JSON.stringify({ crv: 'P-256', kty: 'EC', x, y });
  return {
    privateKey,
    spki: new Uint8Array(publicKey.export({ format: 'der', type: 'spki' })),
    publicJwk,
    kid: createHash('sha256').update(thumbprintInput).digest('base64url'),
  };
}

/** A root, an issuing authority under it, and a signer of key sets under it. */
export async function makeAuthorities(nowMs: number): Promise<{
  readonly root: Authority;
  readonly issuer: Authority;
  readonly keySetSigner: MadeCertificate;
}> {
  const root = await makeCertificate('Test Root', nowMs, buildRootToBeSigned);
  const under = (name: string, build: typeof buildIssuingCaToBeSigned) =>
    makeCertificate(name, nowMs, (fields) => build(fields, root.certificate), root);
  return {
    root,
    issuer: await under('Test Issuer', buildIssuingCaToBeSigned),
    keySetSigner: await under('Test Key Set Signer', buildKeySetSignerToBeSigned),
  };
}

/** A certificate for a fresh key, signed by `issuer` or by itself. */
export async function makeCertificate(
  commonName: string,
  nowMs: number,
  build: typeof buildRootToBeSigned,
  issuer?: Authority,
  notAfterMs = nowMs + 10 * yearMs,
): Promise<MadeCertificate> {
  const key = makeTestKey();
  const subjectPublicKey = await identifyPublicKey(expectOk(parseSubjectPublicKeyInfo(key.spki)));
  const der = issueWith(issuer?.privateKey ?? key.privateKey, (serialNumber) =>
    build({
      serialNumber,
      commonName,
      subjectPublicKey,
      notBeforeMs: nowMs - dayMs,
      notAfterMs,
    }),
  );
  return { privateKey: key.privateKey, certificate: expectOk(parseCertificate(der)) };
}

/** Signs what `build` makes with the authority's key. */
export function issueUnder(
  issuer: Authority,
  build: (serialNumber: Uint8Array) => X509Result<CertificateToBeSigned>,
): Uint8Array {
  return issueWith(issuer.privateKey, build);
}

function issueWith(
  privateKey: KeyObject,
  build: (serialNumber: Uint8Array) => X509Result<CertificateToBeSigned>,
): Uint8Array {
  const { toBeSigned } = expectOk(build(serialNumberFromRandom(randomBytes(16))));
  const signature = sign('sha256', toBeSigned, { key: privateKey, dsaEncoding: 'ieee-p1363' });
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  const issuerKey = expectOk(parseSubjectPublicKeyInfo(new Uint8Array(spki)));
  return expectOk(assembleCertificate(toBeSigned, signature, issuerKey));
}

export function expectOk<Value>(result: X509Result<Value>): Value {
  if (!result.ok) throw new Error(result.detail);
  return result.value;
}
