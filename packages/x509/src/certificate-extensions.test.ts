import { describe, expect, it } from 'vitest';
import { concatBytes } from './bytes.ts';
import { parseCertificate } from './certificate.ts';
import { contextConstructed, contextPrimitive } from './der/tag.ts';
import {
  encodeBoolean,
  encodeElement,
  encodeNamedBits,
  encodeNull,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeSmallInteger,
} from './der/writer.ts';
import { endEntityConstraints, uriName } from './encode-extension.ts';
import { encodeName } from './name.ts';
import { oid } from './object-identifiers.ts';
import { type CertificateParts, certificateOf, extensionOf } from './testing/certificate-of.ts';
import { must } from './testing/make-certificates.ts';

const subjectKeyIdentifier = encodeOctetString(new Uint8Array(20));
const eku = (...purposes: string[]) => encodeSequence(...purposes.map(encodeOid));
const san = (...names: Uint8Array[]) => encodeSequence(...names);
const constraints = (...parts: Uint8Array[]) => encodeSequence(...parts);
const [yes, no] = [encodeBoolean(true), encodeBoolean(false)];
const unknownId = '1.3.6.1.4.1.99999.1';

describe('extensions that are taken', () => {
  it.each<[string, Uint8Array, object]>([
    ['unknown, not critical', extensionOf(unknownId, encodeNull()), {}],
    [
      'CA with path length',
      extensionOf(oid.basicConstraints, constraints(yes, encodeSmallInteger(3)), true),
      { basicConstraints: { isCa: true, pathLength: 3, isCritical: true } },
    ],
    [
      'all key usages',
      extensionOf(oid.keyUsage, encodeNamedBits([0, 1, 2, 3, 4, 5, 6, 7, 8]), true),
      { keyUsage: expect.arrayContaining(['digitalSignature', 'decipherOnly']) },
    ],
    [
      'names of several kinds',
      extensionOf(
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
      extensionOf(
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
      extensionOf(oid.authorityKeyIdentifier, encodeSequence()),
      { authorityKeyIdentifier: undefined },
    ],
  ])('%s', (_, one, expected) => {
    expect(must(parseCertificate(certificateOf({ extensions: [one] }))).extensions).toMatchObject(
      expected,
    );
  });
});

describe('extensions that are refused', () => {
  const inSan = (name: Uint8Array): CertificateParts => ({
    extensions: [extensionOf(oid.subjectAltName, san(name))],
  });
  it.each<[string, string, CertificateParts]>([
    ['no extension', 'malformed_structure', { extensions: [] }],
    [
      'one extension twice',
      'duplicate_extension',
      { extensions: [endEntityConstraints(), endEntityConstraints()] },
    ],
    [
      'unknown extension twice',
      'duplicate_extension',
      { extensions: [extensionOf(unknownId, encodeNull()), extensionOf(unknownId, encodeNull())] },
    ],
    [
      'unknown critical extension',
      'unknown_critical_extension',
      { extensions: [extensionOf(unknownId, encodeNull(), true)] },
    ],
    [
      'critical name constraints',
      'unknown_critical_extension',
      { extensions: [extensionOf('2.5.29.30', encodeSequence(), true)] },
    ],
    [
      'unknown extension that is not DER',
      'malformed_der',
      { extensions: [extensionOf(unknownId, new Uint8Array([0x30, 0x80, 0, 0]))] },
    ],
    [
      'critical FALSE written',
      'malformed_der',
      { extensions: [encodeSequence(encodeOid(unknownId), no, encodeOctetString(encodeNull()))] },
    ],
    [
      'CA FALSE written',
      'malformed_extension',
      { extensions: [extensionOf(oid.basicConstraints, constraints(no))] },
    ],
    [
      'path length without CA',
      'malformed_extension',
      { extensions: [extensionOf(oid.basicConstraints, constraints(encodeSmallInteger(0)))] },
    ],
    [
      'bytes behind the value of an extension',
      'trailing_bytes',
      {
        extensions: [
          extensionOf(oid.basicConstraints, concatBytes(constraints(), new Uint8Array(1)), true),
        ],
      },
    ],
    [
      'key usage without bits',
      'malformed_extension',
      { extensions: [extensionOf(oid.keyUsage, encodeNamedBits([]), true)] },
    ],
    [
      'key usage with a bit without name',
      'malformed_extension',
      { extensions: [extensionOf(oid.keyUsage, encodeNamedBits([0, 9]), true)] },
    ],
    [
      'empty extended key usage',
      'malformed_extension',
      { extensions: [extensionOf(oid.extendedKeyUsage, eku())] },
    ],
    [
      'one purpose twice',
      'malformed_extension',
      { extensions: [extensionOf(oid.extendedKeyUsage, eku(oid.clientAuth, oid.clientAuth))] },
    ],
    [
      'empty subjectAltName',
      'malformed_extension',
      { extensions: [extensionOf(oid.subjectAltName, san())] },
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
      { extensions: [extensionOf(oid.subjectKeyIdentifier, subjectKeyIdentifier, true)] },
    ],
    [
      'critical authority key identifier',
      'malformed_extension',
      { extensions: [extensionOf(oid.authorityKeyIdentifier, encodeSequence(), true)] },
    ],
    [
      'authority issuer without serial',
      'malformed_extension',
      {
        extensions: [
          extensionOf(
            oid.authorityKeyIdentifier,
            encodeSequence(encodeElement(contextConstructed(1), uriName('urn:example:a'))),
          ),
        ],
      },
    ],
  ])('%s: %s', (_, reason, parts) => {
    expect(parseCertificate(certificateOf(parts))).toMatchObject({ ok: false, reason });
  });
});
