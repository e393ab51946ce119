import { describe, expect, it } from 'vitest';
import { hexOf } from './bytes.ts';
import { parseCertificate, verifyCertificateSignature } from './certificate.ts';
import { contextConstructed, contextPrimitive, tag } from './der/tag.ts';
import { encodeTime } from './der/time.ts';
import {
  encodeElement,
  encodeOctetAlignedBits,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeSmallInteger,
  encodeUnsignedInteger,
} from './der/writer.ts';
import { keyUsageExtension, uriName } from './encode-extension.ts';
import { oid } from './object-identifiers.ts';
import { encodeSignatureAlgorithm } from './signature-algorithm.ts';
import {
  type CertificateParts,
  certificateOf,
  extensionOf,
  validityOf,
} from './testing/certificate-of.ts';
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

describe('certificates that are refused', () => {
  it.each<[string, string, CertificateParts]>([
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
    [
      'ends before it begins',
      'validity_not_allowed',
      { validity: validityOf(start, start - 1000) },
    ],
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
    [
      'unused bits in the signature',
      'malformed_der',
      { signature: encodeElement(tag.bitString, new Uint8Array([4, 0xf0])) },
    ],
    [
      'more than 16 KiB',
      'too_large',
      {
        extensions: [extensionOf('1.3.6.1.4.1.99999.1', encodeOctetString(new Uint8Array(16_384)))],
      },
    ],
  ])('%s: %s', (_, reason, parts) => {
    expect(parseCertificate(certificateOf(parts))).toMatchObject({ ok: false, reason });
  });

  it('but an empty subject is fine beside a critical subjectAltName', () => {
    const extensions = [
      keyUsageExtension('digitalSignature'),
      extensionOf(oid.subjectAltName, encodeSequence(uriName('urn:example:a')), true),
    ];
    expect(parseCertificate(certificateOf({ subject: encodeSequence(), extensions })).ok).toBe(
      true,
    );
  });
});
