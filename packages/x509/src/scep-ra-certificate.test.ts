import { describe, expect, it } from 'vitest';
import { parseCertificate } from './certificate.ts';
import { buildScepRaToBeSigned } from './scep-ra-certificate.ts';
import {
  fieldsFor,
  leafFields,
  makeAuthority,
  makeKey,
  makeLeaf,
  must,
  sign,
  start,
} from './testing/make-certificates.ts';
import { verifyIssuedBy } from './verify-issued-by.ts';

const authority = await makeAuthority();
const { root, issuingCa, issuingKey } = authority;
const rsa = await makeKey('rsa');
const fields = fieldsFor(rsa.publicKey, { commonName: 'SCEP' });
const certificate = must(
  parseCertificate(await sign(buildScepRaToBeSigned(fields, issuingCa), issuingKey)),
);

describe("SCEP's registration authority", () => {
  it('encrypts and signs, and is no authority over anything', () => {
    const { extensions, subject } = certificate;
    expect(subject.commonName).toBe('SCEP');
    expect(extensions.basicConstraints).toMatchObject({ isCa: false, isCritical: true });
    expect(extensions.keyUsage).toEqual(['digitalSignature', 'keyEncipherment']);
    expect([extensions.extendedKeyUsage, extensions.subjectAltName]).toEqual([
      undefined,
      undefined,
    ]);
  });

  it('is that and nothing else, under its issuer and nobody else', async () => {
    const verified = async (purpose: Parameters<typeof verifyIssuedBy>[2], issuer = issuingCa) => {
      const result = await verifyIssuedBy(certificate, issuer, purpose, start);
      return result.ok ? 'verified' : result.reason;
    };
    expect(await verified('scep-ra')).toBe('verified');
    expect(await verified('device')).toBe('purpose_not_allowed');
    expect(await verified('issuing-ca')).toBe('issuer_not_allowed');
    expect(await verified('key-set-signer')).toBe('issuer_not_allowed');
    expect(await verified('scep-ra', root)).toBe('issuer_mismatch');
    expect(await verified('scep-ra', (await makeAuthority()).issuingCa)).toBe('issuer_mismatch');
  });

  it("is not what a device's certificate is taken for", async () => {
    const leaf = must(parseCertificate(await makeLeaf(authority, leafFields(rsa.publicKey))));
    expect(await verifyIssuedBy(leaf, issuingCa, 'scep-ra', start)).toMatchObject({
      reason: 'purpose_not_allowed',
    });
  });
});
