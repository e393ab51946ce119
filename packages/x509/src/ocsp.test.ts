import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Bytes, hexOf } from './bytes.ts';
import { parseCertificate } from './certificate.ts';
import { contextConstructed, tag } from './der/tag.ts';
import {
  encodeElement,
  encodeNull,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeSmallInteger,
} from './der/writer.ts';
import { ocspNonceExtension, uriName } from './encode-extension.ts';
import { oid } from './object-identifiers.ts';
import { namesIssuer, ocspIssuerHashes } from './ocsp-issuer-hashes.ts';
import { type OcspHash, parseOcspRequest } from './ocsp-request.ts';
import { buildOcspResponderToBeSigned } from './ocsp-responder-certificate.ts';
import { buildOcspResponseData, encodeOcspError } from './ocsp-response.ts';
import { extensionOf } from './testing/certificate-of.ts';
import {
  day,
  fieldsFor,
  makeAuthority,
  makeKey,
  must,
  sign,
  start,
} from './testing/make-certificates.ts';
import { certificateIdOf, ocspRequestOf } from './testing/make-ocsp-request.ts';
import { verifyIssuedBy } from './verify-issued-by.ts';

const seed = Number(process.env.COUNTERSIGN_PROPERTY_SEED ?? 20_261_121);
const authority = await makeAuthority();
const { issuingCa, issuingKey } = authority;
const certificateId = await certificateIdOf(issuingCa, '01ff');

const hashes = fc.constantFrom<OcspHash>('SHA-1', 'SHA-256');
const serial = fc
  .uint8Array({ minLength: 1, maxLength: 19 })
  .filter(([first]) => first !== 0)
  .map((bytes) => hexOf(bytes));

describe('an OCSP request', () => {
  it('is read with the questions and the nonce that it was written with', async () => {
    const issuerHashes = await ocspIssuerHashes(issuingCa);
    const question = fc.tuple(serial, hashes, fc.boolean());
    await fc.assert(
      fc.asyncProperty(
        fc.array(question, { minLength: 1, maxLength: 16 }),
        fc.option(fc.uint8Array({ minLength: 1, maxLength: 128 }), { nil: undefined }),
        async (questions, nonce) => {
          const certificateIds = await Promise.all(
            questions.map(([number, hash, hasNull]) =>
              certificateIdOf(issuingCa, number, hash, hasNull),
            ),
          );
          const parts = { certificateIds, ...(nonce === undefined ? {} : { nonce }) };
          const request = must(parseOcspRequest(ocspRequestOf(parts)));
          expect(request.nonce).toEqual(nonce === undefined ? undefined : new Uint8Array(nonce));
          for (const [i, id] of request.certificateIds.entries()) {
            expect(id.der).toEqual(certificateIds[i]);
            expect([id.serialNumber, id.hash]).toEqual(questions[i]?.slice(0, 2));
            expect(namesIssuer(id, issuerHashes)).toBe(true);
          }
          expect(request.certificateIds).toHaveLength(questions.length);
        },
      ),
      { seed, numRuns: 100 },
    );
  });

  it('may say who asks, sign it, and carry extensions that nobody needs to know', () => {
    const requestor = encodeElement(
      contextConstructed(1),
      encodeElement(contextConstructed(4), encodeSequence()),
    );
    const signature = encodeElement(
      contextConstructed(0),
      encodeSequence(
        encodeSequence(encodeOid(oid.ecdsaWithSha256)),
        encodeOctetString(certificateId),
      ),
    );
    const request = ocspRequestOf({
      certificateIds: [certificateId],
      before: [requestor],
      extensions: [extensionOf('1.3.6.1.5.5.7.48.1.4', encodeSequence())],
      after: [signature],
    });
    expect(must(parseOcspRequest(request)).certificateIds[0]?.serialNumber).toBe('01ff');
  });

  const nonceOf = (value: Uint8Array) => [extensionOf(oid.ocspNonce, value)];
  const idWith = (hash: Uint8Array, name: Uint8Array, number: Uint8Array) =>
    encodeSequence(hash, encodeOctetString(name), encodeOctetString(name), number);
  const sha1 = encodeSequence(encodeOid(oid.sha1), encodeNull());
  const refused: Record<string, [string, Parameters<typeof ocspRequestOf>[0]]> = {
    'no question': ['malformed_structure', { certificateIds: [] }],
    'seventeen questions': [
      'too_many_requests',
      { certificateIds: Array.from({ length: 17 }, () => certificateId) },
    ],
    'a version': [
      'version_not_allowed',
      {
        certificateIds: [certificateId],
        before: [encodeElement(contextConstructed(0), encodeSmallInteger(0))],
      },
    ],
    'an empty nonce': [
      'nonce_not_allowed',
      { certificateIds: [certificateId], extensions: nonceOf(encodeOctetString(new Uint8Array())) },
    ],
    'a nonce of 129 octets': [
      'nonce_not_allowed',
      {
        certificateIds: [certificateId],
        extensions: nonceOf(encodeOctetString(new Uint8Array(129))),
      },
    ],
    'a nonce without its own header': [
      'malformed_structure',
      { certificateIds: [certificateId], extensions: nonceOf(encodeSequence()) },
    ],
    'two nonces': [
      'duplicate_extension',
      {
        certificateIds: [certificateId],
        extensions: [ocspNonceExtension(Uint8Array.of(1)), ocspNonceExtension(Uint8Array.of(2))],
      },
    ],
    'a critical extension that is not known': [
      'unknown_critical_extension',
      {
        certificateIds: [certificateId],
        extensions: [extensionOf('1.3.6.1.5.5.7.48.1.7', encodeSequence(), true)],
      },
    ],
    'a hash that is not known': [
      'hash_algorithm_not_allowed',
      {
        certificateIds: [
          idWith(
            encodeSequence(encodeOid('1.2.840.113549.2.5'), encodeNull()),
            new Uint8Array(16),
            encodeSmallInteger(1),
          ),
        ],
      },
    ],
    'a hash of another length': [
      'malformed_structure',
      { certificateIds: [idWith(sha1, new Uint8Array(32), encodeSmallInteger(1))] },
    ],
    'the serial number 0': [
      'serial_number_not_allowed',
      { certificateIds: [idWith(sha1, new Uint8Array(20), encodeSmallInteger(0))] },
    ],
    'a negative serial number': [
      'serial_number_not_allowed',
      {
        certificateIds: [
          idWith(sha1, new Uint8Array(20), encodeElement(tag.integer, Uint8Array.of(0x80))),
        ],
      },
    ],
    'something after it': [
      'trailing_bytes',
      { certificateIds: [certificateId], after: [uriName('a:b')] },
    ],
  };
  it.each(Object.entries(refused))('is refused with %s', (_, [reason, parts]) => {
    expect(parseOcspRequest(ocspRequestOf(parts))).toMatchObject({ ok: false, reason });
  });

  it('is refused above its size', () => {
    expect(parseOcspRequest(new Uint8Array(8193))).toMatchObject({ reason: 'too_large' });
  });
});

describe('an OCSP responder', async () => {
  const key = await makeKey();
  const fields = fieldsFor(key.publicKey, { notAfterMs: start + 7 * day });
  const der = await sign(buildOcspResponderToBeSigned(fields, issuingCa), issuingKey);
  const responder = must(parseCertificate(der));
  const { certificateIds } = must(
    parseOcspRequest(ocspRequestOf({ certificateIds: [certificateId] })),
  );
  const answers = certificateIds.map((id) => ({
    certificateId: id,
    status: { status: 'good' } as const,
  }));
  const response = {
    responderKeyHash: new Uint8Array(20),
    producedAtMs: start,
    nextUpdateMs: start + day,
    answers,
    nonce: undefined,
  };

  it('has a certificate that is for nothing but that', async () => {
    expect(responder.extensions).toMatchObject({
      keyUsage: ['digitalSignature'],
      extendedKeyUsage: [oid.ocspSigning],
      basicConstraints: { isCa: false },
    });
    // RFC 6960 §4.2.2.2.1: the extension's value is NULL.
    const noCheck = encodeSequence(encodeOid(oid.ocspNoCheck), encodeOctetString(encodeNull()));
    expect(hexOf(der)).toContain(hexOf(noCheck));
    for (const purpose of ['device', 'key-set-signer', 'issuing-ca'] as const) {
      expect((await verifyIssuedBy(responder, issuingCa, purpose, start)).ok).toBe(false);
    }
  });

  it('promises nothing beyond the end of its certificate', () => {
    const long = must(
      buildOcspResponseData({ ...response, nextUpdateMs: start + 30 * day }, responder),
    );
    const cut = must(
      buildOcspResponseData({ ...response, nextUpdateMs: responder.notAfterMs }, responder),
    );
    expect(long).toEqual(cut);
    const late = { ...response, producedAtMs: responder.notAfterMs };
    expect(buildOcspResponseData(late, responder)).toMatchObject({ reason: 'field_not_allowed' });
  });

  it.each([
    ['answers', { answers: [] }],
    ['responderKeyHash', { responderKeyHash: new Uint8Array(32) }],
    ['nonce', { nonce: new Uint8Array(0) }],
    ['nonce', { nonce: new Uint8Array(129) }],
    ['nextUpdateMs', { nextUpdateMs: start }],
  ])('does not answer with other %s', (field, overrides) => {
    const built = buildOcspResponseData({ ...response, ...overrides }, responder);
    expect(built).toMatchObject({ ok: false, reason: 'field_not_allowed' });
    expect(!built.ok && built.detail).toContain(`${field}:`);
  });

  it('says in five octets that it does not answer', () => {
    const bytes: Record<string, Bytes> = {
      '30030a0101': encodeOcspError('malformedRequest'),
      '30030a0102': encodeOcspError('internalError'),
      '30030a0103': encodeOcspError('tryLater'),
      '30030a0106': encodeOcspError('unauthorized'),
    };
    for (const [expected, made] of Object.entries(bytes)) expect(hexOf(made)).toBe(expected);
  });
});
