import { describe, expect, it } from 'vitest';
import {
  assembleCertificationRequest,
  buildCertificationRequestInfo,
} from './build-certification-request.ts';
import { type Bytes, concatBytes } from './bytes.ts';
import {
  type CertificationRequest,
  parseCertificationRequest,
  verifyProofOfPossession,
} from './certification-request.ts';
import { contextConstructed, tag } from './der/tag.ts';
import {
  encodeElement,
  encodeNull,
  encodeOctetAlignedBits,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeSetOf,
  encodeSmallInteger,
  encodeUtf8String,
} from './der/writer.ts';
import { ecdsaSignatureFromRaw } from './ecdsa-signature.ts';
import { encodeName } from './name.ts';
import { encodeSignatureAlgorithm, type SignatureAlgorithm } from './signature-algorithm.ts';
import type { KeyKind, SubjectPublicKey } from './subject-public-key.ts';
import { makeKey, must, signRaw } from './testing/make-certificates.ts';
import { rsaSpki } from './testing/make-keys.ts';

const p256 = await makeKey('ec-p256');
const other = await makeKey('ec-p256');
const rsa = await makeKey('rsa');

async function requestOf(kind: KeyKind): Promise<{ der: Bytes; key: SubjectPublicKey }> {
  const { publicKey, privateKey } = kind === 'ec-p256' ? p256 : await makeKey(kind);
  const info = must(buildCertificationRequestInfo(publicKey, 'laptop'));
  const signature = await signRaw(privateKey, info, kind);
  return { der: must(assembleCertificationRequest(info, signature, publicKey)), key: publicKey };
}

interface Parts {
  readonly version?: Uint8Array;
  readonly subject?: Uint8Array;
  readonly spki?: Uint8Array;
  readonly attributes?: Uint8Array;
  readonly algorithm?: Uint8Array;
  readonly signature?: Uint8Array;
  readonly afterSignature?: Uint8Array;
}

const noAttributes = encodeElement(contextConstructed(0));
const attributesOf = (...attributes: readonly Uint8Array[]) =>
  encodeElement(contextConstructed(0), ...attributes);
const challengePassword = encodeSequence(
  encodeOid('1.2.840.113549.1.9.7'),
  encodeSetOf(encodeUtf8String('secret')),
);
/** extensionRequest (RFC 2985 §5.4.2) for CA:TRUE and a SAN that names another device. */
const extensionRequest = encodeSequence(
  encodeOid('1.2.840.113549.1.9.14'),
  encodeSetOf(
    encodeSequence(
      encodeSequence(
        encodeOid('2.5.29.19'),
        encodeOctetString(encodeSequence(encodeElement(tag.boolean, new Uint8Array([0xff])))),
      ),
      encodeSequence(
        encodeOid('2.5.29.17'),
        encodeOctetString(
          encodeSequence(
            encodeElement(0x86, new TextEncoder().encode('urn:countersign:device:someone-elses')),
          ),
        ),
      ),
    ),
  ),
);

/** A request of any parts, signed rightly with the P-256 key unless the parts say otherwise. */
async function signedRequest(parts: Parts): Promise<Bytes> {
  const info = encodeSequence(
    parts.version ?? encodeSmallInteger(0),
    parts.subject ?? must(encodeName('laptop')),
    parts.spki ?? p256.publicKey.spki,
    parts.attributes ?? noAttributes,
  );
  const signature = must(ecdsaSignatureFromRaw(await signRaw(p256.privateKey, info), 'P-256'));
  return encodeSequence(
    info,
    parts.algorithm ?? encodeSignatureAlgorithm('ecdsa-sha256'),
    encodeElement(tag.bitString, parts.signature ?? concatBytes(new Uint8Array(1), signature)),
    ...(parts.afterSignature === undefined ? [] : [parts.afterSignature]),
  );
}

describe('requests that are taken', () => {
  it.each<KeyKind>(['ec-p256', 'ec-p384', 'rsa'])('from our own encoder: %s', async (kind) => {
    const { der, key } = await requestOf(kind);
    const request = must(parseCertificationRequest(der));
    expect(request.subject.commonName).toBe('laptop');
    expect(request.subjectPublicKey.spki).toEqual(key.spki);
    const proven = must(await verifyProofOfPossession(request));
    expect(proven.spki).toEqual(key.spki);
  });

  it('with attributes, of which nothing is kept', async () => {
    const attributes = attributesOf(challengePassword, extensionRequest);
    const request = must(parseCertificationRequest(await signedRequest({ attributes })));
    expect(must(await verifyProofOfPossession(request)).kind).toBe('ec-p256');
    expect(Object.keys(request).toSorted()).toEqual([
      'der',
      'signature',
      'signatureAlgorithm',
      'subject',
      'subjectPublicKey',
      'toBeSigned',
    ]);
  });

  it('with an empty subject', async () => {
    expect(
      parseCertificationRequest(await signedRequest({ subject: encodeSequence() })),
    ).toMatchObject({ ok: true, value: { subject: { isEmpty: true } } });
  });

  it('apart from later changes to the buffer they came in', async () => {
    const { der } = await requestOf('ec-p256');
    const request = must(parseCertificationRequest(der));
    der.fill(0);
    expect((await verifyProofOfPossession(request)).ok).toBe(true);
  });
});

const sha1WithEcdsa = encodeSequence(encodeOid('1.2.840.10045.4.1'));
const sha1WithRsa = encodeSequence(encodeOid('1.2.840.113549.1.1.5'), encodeNull());
const md5WithRsa = encodeSequence(encodeOid('1.2.840.113549.1.1.4'), encodeNull());
const ed25519 = encodeSequence(encodeOid('1.3.101.112'));
const ecdsaWithNull = encodeSequence(encodeOid('1.2.840.10045.4.3.2'), encodeNull());
const rsaWithoutNull = encodeSequence(encodeOid('1.2.840.113549.1.1.11'));
const twice = attributesOf(challengePassword, challengePassword);
const noValues = attributesOf(
  encodeSequence(encodeOid('1.2.840.113549.1.9.7'), encodeElement(tag.set)),
);
const deep = (() => {
  let value = encodeUtf8String('x');
  for (let i = 0; i < 100; i++) value = encodeSequence(value);
  return attributesOf(encodeSequence(encodeOid('1.2.3'), encodeElement(tag.set, value)));
})();
const many = attributesOf(...Array.from({ length: 5000 }, () => encodeElement(tag.sequence)));

describe('requests that are refused', () => {
  it.each<[string, string, Parts]>([
    ['version 1', 'version_not_allowed', { version: encodeSmallInteger(1) }],
    [
      'signed with SHA-1 and ECDSA',
      'signature_algorithm_not_allowed',
      { algorithm: sha1WithEcdsa },
    ],
    ['signed with SHA-1 and RSA', 'signature_algorithm_not_allowed', { algorithm: sha1WithRsa }],
    ['signed with MD5', 'signature_algorithm_not_allowed', { algorithm: md5WithRsa }],
    ['signed with Ed25519', 'signature_algorithm_not_allowed', { algorithm: ed25519 }],
    ['ECDSA with parameters', 'signature_algorithm_not_allowed', { algorithm: ecdsaWithNull }],
    ['RSA without parameters', 'signature_algorithm_not_allowed', { algorithm: rsaWithoutNull }],
    [
      'algorithm of another key',
      'signature_algorithm_mismatch',
      { algorithm: encodeSignatureAlgorithm('rsa-sha256') },
    ],
    [
      'a weak RSA key',
      'weak_key',
      { spki: rsaSpki(3n ** 1292n), algorithm: encodeSignatureAlgorithm('rsa-sha256') },
    ],
    ['one attribute type twice', 'duplicate_attribute', { attributes: twice }],
    ['an attribute without value', 'malformed_structure', { attributes: noValues }],
    [
      'attributes out of order',
      'malformed_der',
      { attributes: attributesOf(extensionRequest, challengePassword) },
    ],
    ['deep nesting', 'nested_too_deeply', { attributes: deep }],
    ['5000 empty attributes', 'malformed_der', { attributes: many }],
    ['attributes left out', 'malformed_der', { attributes: new Uint8Array() }],
    ['attributes as a SET', 'malformed_structure', { attributes: encodeElement(tag.set) }],
    [
      'unused bits in the signature',
      'malformed_der',
      { signature: new Uint8Array([1, 0x30, 0x00]) },
    ],
    ['something after the signature', 'trailing_bytes', { afterSignature: encodeNull() }],
    [
      'more than 16 KiB',
      'too_large',
      {
        attributes: attributesOf(
          encodeSequence(
            encodeOid('1.2.3'),
            encodeSetOf(encodeOctetString(new Uint8Array(16_384))),
          ),
        ),
      },
    ],
  ])('%s: %s', async (_, reason, parts) => {
    expect(parseCertificationRequest(await signedRequest(parts))).toMatchObject({
      ok: false,
      reason,
    });
  });

  it.each<[string, Uint8Array]>([
    ['a zero', new Uint8Array(1)],
    ['NULL', encodeNull()],
    ['a line break', new Uint8Array([0x0a])],
  ])('bytes behind the request: %s', async (_, trailing) => {
    const { der } = await requestOf('ec-p256');
    expect(parseCertificationRequest(concatBytes(der, trailing))).toMatchObject({
      reason: 'trailing_bytes',
    });
  });

  it('100 MB, at once', () => {
    const request = new Uint8Array(100_000_000);
    const started = performance.now();
    expect(parseCertificationRequest(request)).toMatchObject({
      reason: 'too_large',
    });
    expect(performance.now() - started).toBeLessThan(1000);
  });
});

describe('proof of possession', () => {
  const proof = async (parts: Parts) =>
    verifyProofOfPossession(must(parseCertificationRequest(await signedRequest(parts))));

  it('fails when another key signed', async () => {
    expect(await proof({ spki: other.publicKey.spki })).toMatchObject({
      reason: 'signature_invalid',
    });
  });

  it('fails when the request was changed after signing', async () => {
    const { der } = await requestOf('ec-p256');
    const at = Buffer.from(der).indexOf('laptop');
    der[at] = 'L'.charCodeAt(0);
    const request = must(parseCertificationRequest(der));
    expect(await verifyProofOfPossession(request)).toMatchObject({ reason: 'signature_invalid' });
  });

  it('fails when the hash is another than the one signed with', async () => {
    const algorithm = encodeSignatureAlgorithm('ecdsa-sha384');
    expect(await proof({ algorithm })).toMatchObject({ reason: 'signature_invalid' });
  });

  it.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array([0])],
    [
      'zeros',
      concatBytes(new Uint8Array(1), encodeSequence(encodeSmallInteger(0), encodeSmallInteger(0))),
    ],
    ['raw values', new Uint8Array(65).fill(1).fill(0, 0, 1)],
  ])('fails for a signature of %s', async (_, signature) => {
    expect(await proof({ signature })).toMatchObject({ reason: 'malformed_signature' });
  });

  it('fails for a point that is not on the curve', async () => {
    const spki = new Uint8Array(p256.publicKey.spki);
    spki[spki.length - 1] = (spki[spki.length - 1] ?? 0) ^ 1;
    expect(await proof({ spki })).toMatchObject({ reason: 'public_key_invalid' });
  });

  it('fails for an RSA signature of another length than the modulus', async () => {
    const request: CertificationRequest = {
      ...must(parseCertificationRequest((await requestOf('rsa')).der)),
      signature: new Uint8Array(255),
    };
    expect(await verifyProofOfPossession(request)).toMatchObject({
      reason: 'malformed_signature',
    });
  });

  it.each<SignatureAlgorithm>(['rsa-sha256', 'rsa-sha384', 'rsa-sha512'])(
    'succeeds for RSA with %s',
    async (algorithm) => {
      const hash = `SHA-${algorithm.slice(-3)}`;
      const parameters = { name: 'RSASSA-PKCS1-v1_5', hash };
      const pkcs8 = await crypto.subtle.exportKey('pkcs8', rsa.privateKey);
      const key = await crypto.subtle.importKey('pkcs8', pkcs8, parameters, false, ['sign']);
      const info = must(buildCertificationRequestInfo(rsa.publicKey, 'laptop'));
      const signature = new Uint8Array(await crypto.subtle.sign(parameters, key, info));
      const der = encodeSequence(
        info,
        encodeSignatureAlgorithm(algorithm),
        encodeOctetAlignedBits(signature),
      );
      const request = must(parseCertificationRequest(der));
      expect((await verifyProofOfPossession(request)).ok).toBe(true);
    },
  );
});

describe('building a request', () => {
  it('refuses a name that no certificate could carry', () => {
    expect(buildCertificationRequestInfo(p256.publicKey, '')).toMatchObject({
      reason: 'field_not_allowed',
    });
  });

  it.each([63, 65, 256])('refuses a signature of %i octets for P-256', (length) => {
    const info = must(buildCertificationRequestInfo(p256.publicKey, 'laptop'));
    const signature = new Uint8Array(length).fill(1);
    expect(assembleCertificationRequest(info, signature, p256.publicKey)).toMatchObject({
      reason: 'malformed_signature',
    });
  });

  it('refuses a signature of another length for RSA', () => {
    const info = must(buildCertificationRequestInfo(rsa.publicKey, 'laptop'));
    const signature = new Uint8Array(64).fill(1);
    expect(assembleCertificationRequest(info, signature, rsa.publicKey)).toMatchObject({
      reason: 'malformed_signature',
    });
  });
});
