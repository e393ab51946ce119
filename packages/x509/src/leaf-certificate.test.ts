import { describe, expect, it } from 'vitest';
import { hexOf } from './bytes.ts';
import { type ParsedCertificate, parseCertificate } from './certificate.ts';
import { createLeafTemplate, type LeafFields } from './leaf-certificate.ts';
import { serialNumberFromRandom } from './serial-number.ts';
import {
  day,
  leafFields,
  makeAuthority,
  makeKey,
  makeLeaf,
  must,
  sign,
  start,
} from './testing/make-certificates.ts';
import { assembleCertificate } from './to-be-signed.ts';

const authority = await makeAuthority();
const { issuingCa, issuingKey } = authority;
const device = await makeKey();
const template = must(createLeafTemplate(issuingCa));

describe('a leaf', () => {
  it.each(['ec-p256', 'ec-p384', 'rsa'] as const)(
    'is built for a device key of kind %s',
    async (kind) => {
      const { publicKey } = await makeKey(kind);
      const leaf = must(parseCertificate(await makeLeaf(authority, leafFields(publicKey))));
      expect(leaf.subjectPublicKey.spki).toEqual(publicKey.spki);
    },
  );

  it('takes the issuer name byte for byte', async () => {
    const leaf = must(parseCertificate(await makeLeaf(authority, leafFields(device.publicKey))));
    expect(leaf.issuer.der).toEqual(issuingCa.subject.der);
  });

  it('is the same bytes for the same fields, and others for another serial number', () => {
    const fields = leafFields(device.publicKey);
    expect(template(fields)).toEqual(template(fields));
    const other = { ...fields, serialNumber: serialNumberFromRandom(new Uint8Array(16).fill(1)) };
    expect(hexOf(must(template(other)).toBeSigned)).not.toBe(
      hexOf(must(template(fields)).toBeSigned),
    );
  });

  it('never begins before nor outlives its issuer, and says so', () => {
    const built = must(
      template(
        leafFields(device.publicKey, {
          notBeforeMs: start - day,
          notAfterMs: issuingCa.notAfterMs + day,
        }),
      ),
    );
    expect(built.notBeforeMs).toBe(issuingCa.notBeforeMs);
    expect(built.notAfterMs).toBe(issuingCa.notAfterMs);
  });

  it('drops fractions of a second', () => {
    const fields = leafFields(device.publicKey, { notBeforeMs: start + 1999 });
    expect(must(template(fields)).notBeforeMs).toBe(start + 1000);
  });

  it('has no status pointers unless they are given', async () => {
    const crl = 'http://ca.example/crl/7.crl';
    const ocsp = 'http://ca.example/ocsp';
    const issuer = 'https://ca.example/certificates/7.cer';
    const plain = await makeLeaf(authority, leafFields(device.publicKey));
    const full = await makeLeaf(
      authority,
      leafFields(device.publicKey, { crlDistributionPoint: crl }),
      { ocspUri: ocsp, issuerUri: issuer },
    );
    const textOf = (der: Uint8Array) => Buffer.from(der).toString('latin1');
    expect(textOf(plain)).not.toContain('http:');
    expect(textOf(full)).toContain(crl);
    expect(textOf(full)).toContain(ocsp);
    expect(textOf(full)).toContain(issuer);
    expect(parseCertificate(full).ok).toBe(true);
  });
});

describe('fields that are refused by name', () => {
  it.each<[string, Partial<LeafFields>]>([
    ['serialNumber', { serialNumber: new Uint8Array(16).fill(1) }],
    ['serialNumber', { serialNumber: new Uint8Array(17) }],
    ['commonName', { commonName: '' }],
    ['deviceId', { deviceId: 'x' }],
    ['deviceId', { deviceId: `${'a'.repeat(20)}\n` }],
    ['crlDistributionPoint', { crlDistributionPoint: 'ldap://ca.example/crl' }],
    ['crlDistributionPoint', { crlDistributionPoint: 'http://' }],
    ['crlDistributionPoint', { crlDistributionPoint: 'http://user@ca.example/' }],
    ['crlDistributionPoint', { crlDistributionPoint: 'http://ca.example/ü' }],
    ['crlDistributionPoint', { crlDistributionPoint: `http://ca.example/${'a'.repeat(512)}` }],
    ['validity', { notBeforeMs: start + day, notAfterMs: start }],
    [
      'validity',
      { notBeforeMs: issuingCa.notAfterMs + day, notAfterMs: issuingCa.notAfterMs + 2 * day },
    ],
    ['validity', { notBeforeMs: Number.NaN }],
    ['validity', { notAfterMs: Number.NaN }],
    [
      'keyIdentifier',
      { subjectPublicKey: { ...device.publicKey, keyIdentifier: new Uint8Array(19) } },
    ],
  ])('%s: %o', (field, overrides) => {
    const built = template(leafFields(device.publicKey, overrides));
    expect(built).toMatchObject({ ok: false, reason: 'field_not_allowed' });
    expect(built.ok || built.detail).toMatch(new RegExp(`^${field}: `));
  });

  it('ocspUri, when the template is made', () => {
    const made = createLeafTemplate(issuingCa, { ocspUri: 'ftp://ca.example/ocsp' });
    expect(made).toMatchObject({ ok: false, reason: 'field_not_allowed' });
  });
});

describe('issuers', () => {
  const changed = (extensions: Partial<ParsedCertificate['extensions']>): ParsedCertificate => ({
    ...issuingCa,
    extensions: { ...issuingCa.extensions, ...extensions },
  });

  it.each<[string, ParsedCertificate]>([
    ['no basic constraints', changed({ basicConstraints: undefined })],
    [
      'not a CA',
      changed({ basicConstraints: { isCa: false, pathLength: undefined, isCritical: true } }),
    ],
    ['may not sign certificates', changed({ keyUsage: ['digitalSignature'] })],
    ['no key identifier', changed({ subjectKeyIdentifier: undefined })],
  ])('are refused: %s', (_, issuer) => {
    expect(createLeafTemplate(issuer)).toMatchObject({ reason: 'issuer_not_allowed' });
  });

  it('a device certificate does not issue', async () => {
    const leaf = must(parseCertificate(await makeLeaf(authority, leafFields(device.publicKey))));
    expect(createLeafTemplate(leaf)).toMatchObject({ reason: 'issuer_not_allowed' });
  });
});

describe('assembling', () => {
  const { toBeSigned } = must(template(leafFields(device.publicKey)));

  it('puts the signature of the issuer key to exactly the bytes that were signed', async () => {
    const der = await sign(template(leafFields(device.publicKey)), issuingKey);
    expect(parseCertificate(der).ok).toBe(true);
  });

  it('refuses a key of another algorithm than the bytes name', async () => {
    const p384 = await makeKey('ec-p384');
    expect(
      assembleCertificate(toBeSigned, new Uint8Array(96).fill(1), p384.publicKey),
    ).toMatchObject({ reason: 'signature_algorithm_mismatch' });
  });

  it.each([0, 63, 65, 96])('refuses a signature of %i octets', (length) => {
    const signature = new Uint8Array(length).fill(1);
    expect(assembleCertificate(toBeSigned, signature, issuingKey.publicKey)).toMatchObject({
      reason: 'malformed_signature',
    });
  });

  it.each([new Uint8Array(), toBeSigned.subarray(1), toBeSigned.subarray(0, 40)])(
    'refuses what is no TBSCertificate',
    (bytes) => {
      const signature = new Uint8Array(64).fill(1);
      expect(assembleCertificate(bytes, signature, issuingKey.publicKey).ok).toBe(false);
    },
  );
});

describe('serial numbers', () => {
  it('keep all random bits, positive and of one length', () => {
    for (const random of [
      new Uint8Array(16).fill(0xff),
      new Uint8Array([...new Uint8Array(15), 1]),
      new Uint8Array([0x80, ...new Uint8Array(15)]),
    ]) {
      expect(hexOf(serialNumberFromRandom(random))).toBe(`01${hexOf(random)}`);
    }
  });

  it.each([0, 8, 15, 17, 20])('are not made of %i octets', (length) => {
    expect(() => serialNumberFromRandom(new Uint8Array(length).fill(1))).toThrow(RangeError);
  });

  it('are not made of zeros', () => {
    expect(() => serialNumberFromRandom(new Uint8Array(16))).toThrow(RangeError);
  });
});
