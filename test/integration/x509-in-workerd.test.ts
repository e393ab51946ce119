// The X.509 package on workerd's WebCrypto, which is another implementation than Node's.
import {
  assembleCertificate,
  assembleCertificationRequest,
  buildCertificationRequestInfo,
  buildIssuingCaToBeSigned,
  buildRootToBeSigned,
  type CertificateToBeSigned,
  type CommonFields,
  createLeafTemplate,
  type IdentifiedPublicKey,
  identifyPublicKey,
  importVerifyKey,
  type ParsedCertificate,
  parseCertificate,
  parseCertificationRequest,
  parseSubjectPublicKeyInfo,
  serialNumberFromRandom,
  verifyIssuedBy,
  verifyProofOfPossession,
  type X509Result,
} from '@countersign/x509';
import { describe, expect, it } from 'vitest';

function must<T>(result: X509Result<T>): T {
  if (!result.ok) throw new Error(`${result.reason}: ${result.detail}`);
  return result.value;
}

const algorithms = {
  'P-256': { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  'P-384': { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' },
  'RSA-2048': {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
  },
};
type KeyName = keyof typeof algorithms;

interface Key {
  readonly publicKey: IdentifiedPublicKey;
  sign(data: Uint8Array): Promise<Uint8Array>;
}

async function makeKey(name: KeyName): Promise<Key> {
  const algorithm = algorithms[name];
  const pair = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  if (!('publicKey' in pair)) throw new Error('not a key pair');
  const spki = await crypto.subtle.exportKey('spki', pair.publicKey);
  if (!(spki instanceof ArrayBuffer)) throw new Error('not bytes');
  return {
    publicKey: await identifyPublicKey(must(parseSubjectPublicKeyInfo(new Uint8Array(spki)))),
    sign: async (data) =>
      new Uint8Array(await crypto.subtle.sign(algorithm, pair.privateKey, data)),
  };
}

const start = Date.UTC(2026, 10, 21);
const end = Date.UTC(2027, 10, 21);
const fieldsFor = (subjectPublicKey: IdentifiedPublicKey): CommonFields => ({
  serialNumber: serialNumberFromRandom(crypto.getRandomValues(new Uint8Array(16))),
  commonName: 'Test',
  notBeforeMs: start,
  notAfterMs: end,
  subjectPublicKey,
});

async function signWith(
  issuer: Key,
  built: X509Result<CertificateToBeSigned>,
): Promise<ParsedCertificate> {
  const { toBeSigned } = must(built);
  const signature = await issuer.sign(toBeSigned);
  return must(parseCertificate(must(assembleCertificate(toBeSigned, signature, issuer.publicKey))));
}

describe.each(Object.keys(algorithms) as KeyName[])('with keys %s', (name) => {
  it('a request is proven, and its certificate verifies up to the root', async () => {
    const [rootKey, issuingKey, deviceKey] = [
      await makeKey(name),
      await makeKey(name),
      await makeKey(name),
    ];
    const info = must(buildCertificationRequestInfo(deviceKey.publicKey, 'laptop'));
    const request = must(
      assembleCertificationRequest(info, await deviceKey.sign(info), deviceKey.publicKey),
    );
    const proven = must(await verifyProofOfPossession(must(parseCertificationRequest(request))));

    const root = await signWith(rootKey, buildRootToBeSigned(fieldsFor(rootKey.publicKey)));
    const issuingFields = fieldsFor(issuingKey.publicKey);
    const issuingCa = await signWith(rootKey, buildIssuingCaToBeSigned(issuingFields, root));
    const template = must(createLeafTemplate(issuingCa));
    const subjectPublicKey = await identifyPublicKey(proven);
    const deviceId = 'kDq3vVtS6oZkq0bTn1w5yHc2mXfR8aJ4';
    const leaf = await signWith(issuingKey, template({ ...fieldsFor(subjectPublicKey), deviceId }));
    expect((await verifyIssuedBy(issuingCa, root, 'issuing-ca', start)).ok).toBe(true);
    expect((await verifyIssuedBy(leaf, issuingCa, 'device', start)).ok).toBe(true);
    const changed = { ...leaf, toBeSigned: leaf.toBeSigned.slice() };
    changed.toBeSigned[30] = (changed.toBeSigned[30] ?? 0) ^ 1;
    expect(await verifyIssuedBy(changed, issuingCa, 'device', start)).toMatchObject({
      reason: 'signature_invalid',
    });
  });
});

describe('a point that is not on its curve', () => {
  it.each(['P-256', 'P-384'] as const)('is refused: %s', async (name) => {
    const { publicKey } = await makeKey(name);
    const spki = publicKey.spki.slice();
    spki[spki.length - 1] = (spki[spki.length - 1] ?? 0) ^ 1;
    const key = must(parseSubjectPublicKeyInfo(spki));
    expect(await importVerifyKey(key)).toMatchObject({ ok: false, reason: 'public_key_invalid' });
  });
});
