import { describe, expect, it } from 'vitest';
import { type ParsedCertificate, parseCertificate } from './certificate.ts';
import { oid } from './object-identifiers.ts';
import {
  leafFields,
  makeAuthority,
  makeKey,
  makeKeySetSigner,
  makeLeaf,
  must,
  start,
} from './testing/make-certificates.ts';
import { type CertificatePurpose, verifyIssuedBy } from './verify-issued-by.ts';

const authority = await makeAuthority();
const stranger = await makeAuthority();
const { root, issuingCa } = authority;
const device = await makeKey();
const leaf = must(parseCertificate(await makeLeaf(authority, leafFields(device.publicKey))));
const signer = must(parseCertificate(await makeKeySetSigner(authority, device.publicKey)));

const outcome = async (
  certificate: ParsedCertificate,
  issuer: ParsedCertificate,
  purpose: CertificatePurpose,
  nowMs = start,
) => {
  const result = await verifyIssuedBy(certificate, issuer, purpose, nowMs);
  return result.ok ? 'verified' : result.reason;
};

const withExtensions = (
  certificate: ParsedCertificate,
  extensions: Partial<ParsedCertificate['extensions']>,
): ParsedCertificate => ({
  ...certificate,
  extensions: { ...certificate.extensions, ...extensions },
});

describe('one certificate under another', () => {
  it('verifies, each link for its purpose', async () => {
    expect(await outcome(issuingCa, root, 'issuing-ca')).toBe('verified');
    expect(await outcome(leaf, issuingCa, 'device')).toBe('verified');
    expect(await outcome(signer, root, 'key-set-signer')).toBe('verified');
  });

  it.each<[string, ParsedCertificate, ParsedCertificate, CertificatePurpose, string]>([
    ['a device as signer', leaf, issuingCa, 'key-set-signer', 'issuer_not_allowed'],
    ['a device as authority', leaf, root, 'issuing-ca', 'issuer_mismatch'],
    ['a signer as device', signer, root, 'device', 'purpose_not_allowed'],
    ['an authority as device', issuingCa, root, 'device', 'purpose_not_allowed'],
    ['an authority as signer', issuingCa, root, 'key-set-signer', 'purpose_not_allowed'],
    ['a leaf under a leaf', leaf, leaf, 'device', 'issuer_not_allowed'],
    ['a leaf under the root', leaf, root, 'device', 'issuer_mismatch'],
    ['an authority under an issuing one', issuingCa, issuingCa, 'issuing-ca', 'issuer_not_allowed'],
    ['the root under itself', root, root, 'issuing-ca', 'issuer_mismatch'],
    ['a foreign authority of the same name', leaf, stranger.issuingCa, 'device', 'issuer_mismatch'],
    [
      'an authority of another name with the same key',
      leaf,
      { ...issuingCa, subject: root.subject },
      'device',
      'issuer_mismatch',
    ],
    [
      'an authority that may make authorities',
      withExtensions(issuingCa, {
        basicConstraints: { isCa: true, pathLength: undefined, isCritical: true },
      }),
      root,
      'issuing-ca',
      'purpose_not_allowed',
    ],
    [
      'an authority without fence',
      withExtensions(issuingCa, { extendedKeyUsage: undefined }),
      root,
      'issuing-ca',
      'purpose_not_allowed',
    ],
    [
      'a foreign authority that claims name and identifier too',
      leaf,
      withExtensions(stranger.issuingCa, {
        subjectKeyIdentifier: issuingCa.extensions.subjectKeyIdentifier,
      }),
      'device',
      'signature_invalid',
    ],
    [
      'no authority key identifier',
      withExtensions(leaf, { authorityKeyIdentifier: undefined }),
      issuingCa,
      'device',
      'issuer_mismatch',
    ],
    [
      'issuer constraints not critical',
      leaf,
      withExtensions(issuingCa, {
        basicConstraints: { isCa: true, pathLength: 0, isCritical: false },
      }),
      'device',
      'issuer_not_allowed',
    ],
    [
      'issuer without keyCertSign',
      leaf,
      withExtensions(issuingCa, { keyUsage: ['crlSign'] }),
      'device',
      'issuer_not_allowed',
    ],
    [
      'issuer fenced off from clients',
      leaf,
      withExtensions(issuingCa, { extendedKeyUsage: [oid.serverAuth] }),
      'device',
      'issuer_not_allowed',
    ],
    [
      'a device that may be a server too',
      withExtensions(leaf, { extendedKeyUsage: [oid.clientAuth, oid.serverAuth] }),
      issuingCa,
      'device',
      'purpose_not_allowed',
    ],
    [
      'a device without purposes',
      withExtensions(leaf, { extendedKeyUsage: undefined }),
      issuingCa,
      'device',
      'purpose_not_allowed',
    ],
    [
      'a device with another key usage',
      withExtensions(leaf, { keyUsage: ['digitalSignature', 'keyAgreement'] }),
      issuingCa,
      'device',
      'purpose_not_allowed',
    ],
  ])('refuses %s', async (_, certificate, issuer, purpose, reason) => {
    expect(await outcome(certificate, issuer, purpose)).toBe(reason);
  });

  it('refuses a changed certificate', async () => {
    const changed = { ...leaf, toBeSigned: new Uint8Array(leaf.toBeSigned) };
    changed.toBeSigned[30] = (changed.toBeSigned[30] ?? 0) ^ 1;
    expect(await outcome(changed, issuingCa, 'device')).toBe('signature_invalid');
  });

  it.each<[string, number, string]>([
    ['a second before it begins', leaf.notBeforeMs - 1, 'not_yet_valid'],
    ['as it begins', leaf.notBeforeMs, 'verified'],
    ['within its last second', leaf.notAfterMs + 999, 'verified'],
    ['after its last second', leaf.notAfterMs + 1000, 'expired'],
    ['at no time', Number.NaN, 'not_yet_valid'],
  ])('looks at the clock: %s', async (_, nowMs, expected) => {
    expect(await outcome(leaf, issuingCa, 'device', nowMs)).toBe(expected);
  });

  it('looks at the validity of the issuer too', async () => {
    const expired = { ...issuingCa, notAfterMs: start - 2000 };
    expect(await outcome(leaf, expired, 'device')).toBe('expired');
  });
});
