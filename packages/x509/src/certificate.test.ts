import { describe, expect, it } from 'vitest';
import { type Bytes, concatBytes, hexOf } from './bytes.ts';
import { parseCertificate, verifyCertificateSignature } from './certificate.ts';
import { contextConstructed, contextPrimitive, tag } from './der/tag.ts';
import { encodeTime } from './der/time.ts';
import {
  encodeBoolean,
  encodeElement,
  encodeNamedBits,
  encodeNull,
  encodeOctetAlignedBits,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeSmallInteger,
  encodeUnsignedInteger,
} from './der/writer.ts';
import { endEntityConstraints, keyUsageExtension, uriName } from './encode-extension.ts';
import { encodeName } from './name.ts';
import { oid } from './object-identifiers.ts';
import { encodeSignatureAlgorithm } from './signature-algorithm.ts';
import {
  leafFields,
  makeAuthority,
  makeKey,
  makeLeaf,
  must,
  start,
  testDeviceId,
} from './testing/make-certificates.ts';

const authority = await makeAuthority();
const device = await makeKey();
const ecdsa = encodeSignatureAlgorithm('ecdsa-sha256');
const version3 = encodeElement(contextConstructed(0), encodeSmallInteger(2));
const validity = (notBeforeMs: number, notAfterMs: number) =>
  encodeSequence(encodeTime(notBeforeMs), encodeTime(notAfterMs));
const extension = (id: string, value: Uint8Array, isCritical = false) =>
  encodeSequence(
    encodeOid(id),
    ...(isCritical ? [encodeBoolean(true)] : []),
    encodeOctetString(value),
  );

interface Parts {
  readonly version?: Uint8Array;
  readonly serialNumber?: Uint8Array;
  readonly innerAlgorithm?: Uint8Array;
  readonly outerAlgorithm?: Uint8Array;
  readonly issuer?: Uint8Array;
  readonly validity?: Uint8Array;
  readonly subject?: Uint8Array;
  readonly spki?: Uint8Array;
  readonly uniqueIds?: Uint8Array;
  readonly extensions?: readonly Uint8Array[];
  readonly signature?: Uint8Array;
}

/** A certificate of any parts; its signature is one octet, because nothing here looks at it. */
function certificateOf(parts: Parts): Bytes {
  const tbs = encodeSequence(
    parts.version ?? version3,
    parts.serialNumber ?? encodeSmallInteger(7),
    parts.innerAlgorithm ?? ecdsa,
    parts.issuer ?? must(encodeName('issuer')),
    parts.validity ?? validity(start, start + 1000),
    parts.subject ?? must(encodeName('subject')),
    parts.spki ?? device.publicKey.spki,
    parts.uniqueIds ?? new Uint8Array(),
    encodeElement(
      contextConstructed(3),
      encodeSequence(...(parts.extensions ?? [endEntityConstraints()])),
    ),
  );
  return encodeSequence(
    tbs,
    parts.outerAlgorithm ?? ecdsa,
    parts.signature ?? encodeOctetAlignedBits(new Uint8Array(1)),
  );
}

describe('a certificate of ours', () => {
  it('reads as it was built', async () => {
    const fields = leafFields(device.publicKey);
    const der = await makeLeaf(authority, fields);
    const certificate = must(parseCertificate(der));
    expect(certificate).toMatchObject({
      der,
      serialNumber: hexOf(fields.serialNumber),
      signatureAlgorithm: 'ecdsa-sha256',
      notBeforeMs: fields.notBeforeMs,
      notAfterMs: fields.notAfterMs,
      issuer: authority.issuingCa.subject,
      subject: { commonName: 'Test' },
      subjectPublicKey: { kind: 'ec-p256', spki: device.publicKey.spki },
      extensions: {
        basicConstraints: { isCa: false, pathLength: undefined, isCritical: true },
        keyUsage: ['digitalSignature'],
        extendedKeyUsage: [oid.clientAuth],
        subjectAltName: {
          uris: [`urn:countersign:device:${testDeviceId}`],
          otherNames: 0,
          isCritical: false,
        },
        subjectKeyIdentifier: device.publicKey.keyIdentifier,
        authorityKeyIdentifier: authority.issuingCa.extensions.subjectKeyIdentifier,
      },
    });
  });

  it('verifies with the key of its issuer and with no other', async () => {
    const certificate = must(
      parseCertificate(await makeLeaf(authority, leafFields(device.publicKey))),
    );
    const verify = (key = authority.issuingKey.publicKey) =>
      verifyCertificateSignature(certificate, key);
    expect((await verify()).ok).toBe(true);
    expect(await verify(authority.rootKey.publicKey)).toMatchObject({
      reason: 'signature_invalid',
    });
    expect(await verify((await makeKey('rsa')).publicKey)).toMatchObject({
      reason: 'signature_algorithm_mismatch',
    });
    expect(await verify((await makeKey('ec-p384')).publicKey)).toMatchObject({ ok: false });
  });

  it.each(['ec-p384', 'rsa'] as const)('may be issued by a key of kind %s', async (kind) => {
    const other = await makeAuthority(kind);
    const certificate = must(parseCertificate(await makeLeaf(other, leafFields(device.publicKey))));
    const verified = await verifyCertificateSignature(certificate, other.issuingKey.publicKey);
    expect(verified.ok).toBe(true);
  });
});

const subjectKeyIdentifier = encodeOctetString(new Uint8Array(20));
const eku = (...purposes: string[]) => encodeSequence(...purposes.map(encodeOid));
const san = (...names: Uint8Array[]) => encodeSequence(...names);
const constraints = (...parts: Uint8Array[]) => encodeSequence(...parts);
const [yes, no] = [encodeBoolean(true), encodeBoolean(false)];
const unknownId = '1.3.6.1.4.1.99999.1';

describe('extensions that are taken', () => {
  it.each<[string, Uint8Array, object]>([
    ['unknown, not critical', extension(unknownId, encodeNull()), {}],
    [
      'CA with path length',
      extension(oid.basicConstraints, constraints(yes, encodeSmallInteger(3)), true),
      { basicConstraints: { isCa: true, pathLength: 3, isCritical: true } },
    ],
    [
      'all key usages',
      extension(oid.keyUsage, encodeNamedBits([0, 1, 2, 3, 4, 5, 6, 7, 8]), true),
      { keyUsage: expect.arrayContaining(['digitalSignature', 'decipherOnly']) },
    ],
    [
      'names of several kinds',
      extension(
        oid.subjectAltName,
        san(
          encodeElement(contextPrimitive(2), new TextEncoder().encode('host.example')),
          uriName('urn:example:a'),
          encodeElement(contextConstructed(4), must(encodeName('x'))),
        ),
      ),
      { subjectAltName: { uris: ['urn:example:a'], otherNames: 2, isCritical: false } },
    ],
    [
      'authority key with issuer and serial',
      extension(
        oid.authorityKeyIdentifier,
        encodeSequence(
          encodeElement(contextPrimitive(0), new Uint8Array(20)),
          encodeElement(contextConstructed(1), uriName('urn:example:a')),
          encodeElement(contextPrimitive(2), new Uint8Array([5])),
        ),
      ),
      { authorityKeyIdentifier: new Uint8Array(20) },
    ],
    [
      'authority without key',
      extension(oid.authorityKeyIdentifier, encodeSequence()),
      { authorityKeyIdentifier: undefined },
    ],
  ])('%s', (_, one, expected) => {
    expect(must(parseCertificate(certificateOf({ extensions: [one] }))).extensions).toMatchObject(
      expected,
    );
  });
});

describe('certificates that are refused', () => {
  const inSan = (name: Uint8Array): Parts => ({
    extensions: [extension(oid.subjectAltName, san(name))],
  });
  it.each<[string, string, Parts]>([
    ['version 1', 'version_not_allowed', { version: new Uint8Array() }],
    [
      'version 2',
      'version_not_allowed',
      { version: encodeElement(contextConstructed(0), encodeSmallInteger(1)) },
    ],
    ['serial number zero', 'serial_number_not_allowed', { serialNumber: encodeSmallInteger(0) }],
    [
      'negative serial number',
      'serial_number_not_allowed',
      { serialNumber: encodeElement(tag.integer, new Uint8Array([0xfe])) },
    ],
    [
      'serial number of 21 octets',
      'serial_number_not_allowed',
      { serialNumber: encodeUnsignedInteger(new Uint8Array(21).fill(1)) },
    ],
    [
      'serial number of 20 octets and a sign octet',
      'serial_number_not_allowed',
      { serialNumber: encodeUnsignedInteger(new Uint8Array(20).fill(0xff)) },
    ],
    [
      'another inner algorithm',
      'signature_algorithm_mismatch',
      { innerAlgorithm: encodeSignatureAlgorithm('ecdsa-sha384') },
    ],
    [
      'SHA-1',
      'signature_algorithm_not_allowed',
      { outerAlgorithm: encodeSequence(encodeOid('1.2.840.10045.4.1')) },
    ],
    [
      'Ed25519 key',
      'key_algorithm_not_allowed',
      {
        spki: encodeSequence(
          encodeSequence(encodeOid('1.3.101.112')),
          encodeOctetAlignedBits(new Uint8Array(32)),
        ),
      },
    ],
    ['empty issuer', 'name_not_allowed', { issuer: encodeSequence() }],
    ['empty subject', 'name_not_allowed', { subject: encodeSequence() }],
    ['ends before it begins', 'validity_not_allowed', { validity: validity(start, start - 1000) }],
    [
      'time in another form',
      'validity_not_allowed',
      {
        validity: encodeSequence(
          encodeElement(tag.generalizedTime, new TextEncoder().encode('20260101000000Z')),
          encodeTime(start),
        ),
      },
    ],
    [
      'issuerUniqueID',
      'malformed_structure',
      { uniqueIds: encodeElement(contextPrimitive(1), new Uint8Array([0, 1])) },
    ],
    ['no extension', 'malformed_structure', { extensions: [] }],
    [
      'one extension twice',
      'duplicate_extension',
      { extensions: [endEntityConstraints(), endEntityConstraints()] },
    ],
    [
      'unknown extension twice',
      'duplicate_extension',
      { extensions: [extension(unknownId, encodeNull()), extension(unknownId, encodeNull())] },
    ],
    [
      'unknown critical extension',
      'unknown_critical_extension',
      { extensions: [extension(unknownId, encodeNull(), true)] },
    ],
    [
      'critical name constraints',
      'unknown_critical_extension',
      { extensions: [extension('2.5.29.30', encodeSequence(), true)] },
    ],
    [
      'unknown extension that is not DER',
      'malformed_der',
      { extensions: [extension(unknownId, new Uint8Array([0x30, 0x80, 0, 0]))] },
    ],
    [
      'critical FALSE written',
      'malformed_der',
      { extensions: [encodeSequence(encodeOid(unknownId), no, encodeOctetString(encodeNull()))] },
    ],
    [
      'CA FALSE written',
      'malformed_extension',
      { extensions: [extension(oid.basicConstraints, constraints(no))] },
    ],
    [
      'path length without CA',
      'malformed_extension',
      { extensions: [extension(oid.basicConstraints, constraints(encodeSmallInteger(0)))] },
    ],
    [
      'bytes behind the value of an extension',
      'trailing_bytes',
      {
        extensions: [
          extension(oid.basicConstraints, concatBytes(constraints(), new Uint8Array(1)), true),
        ],
      },
    ],
    [
      'key usage without bits',
      'malformed_extension',
      { extensions: [extension(oid.keyUsage, encodeNamedBits([]), true)] },
    ],
    [
      'key usage with a bit without name',
      'malformed_extension',
      { extensions: [extension(oid.keyUsage, encodeNamedBits([0, 9]), true)] },
    ],
    [
      'empty extended key usage',
      'malformed_extension',
      { extensions: [extension(oid.extendedKeyUsage, eku())] },
    ],
    [
      'one purpose twice',
      'malformed_extension',
      { extensions: [extension(oid.extendedKeyUsage, eku(oid.clientAuth, oid.clientAuth))] },
    ],
    [
      'empty subjectAltName',
      'malformed_extension',
      { extensions: [extension(oid.subjectAltName, san())] },
    ],
    ['name of no known kind', 'malformed_extension', inSan(encodeElement(0x89, new Uint8Array(1)))],
    [
      'URI above ASCII',
      'malformed_der',
      inSan(encodeElement(contextPrimitive(6), new Uint8Array([0xff]))),
    ],
    [
      'otherName that is not DER',
      'malformed_der',
      inSan(encodeElement(contextConstructed(0), new Uint8Array([0x30]))),
    ],
    [
      'critical subject key identifier',
      'malformed_extension',
      { extensions: [extension(oid.subjectKeyIdentifier, subjectKeyIdentifier, true)] },
    ],
    [
      'critical authority key identifier',
      'malformed_extension',
      { extensions: [extension(oid.authorityKeyIdentifier, encodeSequence(), true)] },
    ],
    [
      'authority issuer without serial',
      'malformed_extension',
      {
        extensions: [
          extension(
            oid.authorityKeyIdentifier,
            encodeSequence(encodeElement(contextConstructed(1), uriName('urn:example:a'))),
          ),
        ],
      },
    ],
    [
      'unused bits in the signature',
      'malformed_der',
      { signature: encodeElement(tag.bitString, new Uint8Array([4, 0xf0])) },
    ],
    [
      'more than 16 KiB',
      'too_large',
      { extensions: [extension(unknownId, encodeOctetString(new Uint8Array(16_384)))] },
    ],
  ])('%s: %s', (_, reason, parts) => {
    expect(parseCertificate(certificateOf(parts))).toMatchObject({ ok: false, reason });
  });

  it('but an empty subject is fine beside a critical subjectAltName', () => {
    const extensions = [
      keyUsageExtension('digitalSignature'),
      extension(oid.subjectAltName, san(uriName('urn:example:a')), true),
    ];
    expect(parseCertificate(certificateOf({ subject: encodeSequence(), extensions })).ok).toBe(
      true,
    );
  });
});
