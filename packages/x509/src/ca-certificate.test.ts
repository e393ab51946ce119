import { describe, expect, it } from 'vitest';
import { buildIssuingCaToBeSigned, buildRootToBeSigned } from './ca-certificate.ts';
import { parseCertificate } from './certificate.ts';
import { keySetSigningOid, oid } from './object-identifiers.ts';
import {
  day,
  fieldsFor,
  leafFields,
  makeAuthority,
  makeKey,
  makeKeySetSigner,
  makeLeaf,
  must,
  start,
} from './testing/make-certificates.ts';
import { buildTlsServerToBeSigned, type TlsServerFields } from './tls-server-certificate.ts';

const authority = await makeAuthority();
const { root, rootKey, issuingCa } = authority;
const key = await makeKey();

describe('the root', () => {
  it('signs itself, allows one authority under it, and has no purposes', () => {
    expect(root.issuer.der).toEqual(root.subject.der);
    expect(root.extensions).toMatchObject({
      basicConstraints: { isCa: true, pathLength: 1, isCritical: true },
      keyUsage: ['keyCertSign', 'crlSign'],
      extendedKeyUsage: undefined,
      subjectAltName: undefined,
      subjectKeyIdentifier: rootKey.publicKey.keyIdentifier,
      authorityKeyIdentifier: undefined,
    });
  });

  it('may last beyond 2050', () => {
    const fields = fieldsFor(key.publicKey, { notAfterMs: Date.UTC(2056, 0, 1) });
    expect(must(buildRootToBeSigned(fields)).notAfterMs).toBe(Date.UTC(2056, 0, 1));
  });

  it('refuses a time that no certificate can say', () => {
    const fields = fieldsFor(key.publicKey, { notAfterMs: Date.UTC(10_000, 0, 1) });
    expect(buildRootToBeSigned(fields)).toMatchObject({ reason: 'field_not_allowed' });
  });
});

describe('the issuing authority', () => {
  it('issues leaves only, for clients only', () => {
    expect(issuingCa.issuer.der).toEqual(root.subject.der);
    expect(issuingCa.extensions).toMatchObject({
      basicConstraints: { isCa: true, pathLength: 0, isCritical: true },
      keyUsage: ['keyCertSign', 'crlSign'],
      extendedKeyUsage: [oid.clientAuth, oid.ocspSigning],
      authorityKeyIdentifier: root.extensions.subjectKeyIdentifier,
    });
  });

  it('does not outlive the root', () => {
    const fields = fieldsFor(key.publicKey, { notAfterMs: root.notAfterMs + day });
    expect(must(buildIssuingCaToBeSigned(fields, root)).notAfterMs).toBe(root.notAfterMs);
  });

  it('is not made under a leaf', async () => {
    const leaf = must(parseCertificate(await makeLeaf(authority, leafFields(key.publicKey))));
    expect(buildIssuingCaToBeSigned(fieldsFor(key.publicKey), leaf)).toMatchObject({
      reason: 'issuer_not_allowed',
    });
  });
});

describe('the signer of the key set', () => {
  it('has its one private purpose and is no authority', async () => {
    const signer = must(parseCertificate(await makeKeySetSigner(authority, key.publicKey)));
    expect(signer.extensions).toMatchObject({
      basicConstraints: { isCa: false, isCritical: true },
      keyUsage: ['digitalSignature'],
      extendedKeyUsage: [keySetSigningOid],
      subjectAltName: undefined,
      authorityKeyIdentifier: root.extensions.subjectKeyIdentifier,
    });
  });

  it('has an identifier that is the UUID under 2.25', () => {
    const uuid = '5e8f7749-f56c-4e38-9c41-eb8795c714e8';
    expect(keySetSigningOid).toBe(`2.25.${BigInt(`0x${uuid.replaceAll('-', '')}`)}`);
  });
});

describe('the certificate of a TLS server on this machine', () => {
  const fields = (overrides: Partial<TlsServerFields> = {}): TlsServerFields => ({
    ...fieldsFor(key.publicKey, { commonName: 'localhost' }),
    dnsNames: ['localhost'],
    ipAddresses: [new Uint8Array([127, 0, 0, 1])],
    ...overrides,
  });

  it('is built', () => {
    const { notBeforeMs, notAfterMs } = must(buildTlsServerToBeSigned(fields()));
    expect([notBeforeMs, notAfterMs]).toEqual([start, start + 30 * day]);
  });

  it.each<[string, Partial<TlsServerFields>]>([
    ['dnsNames', { dnsNames: [], ipAddresses: [] }],
    ['dnsNames', { dnsNames: ['*.example'] }],
    ['dnsNames', { dnsNames: ['Local.Example'] }],
    ['dnsNames', { dnsNames: ['a..b'] }],
    ['dnsNames', { dnsNames: ['-a.example'] }],
    ['dnsNames', { dnsNames: ['a.example.'] }],
    ['dnsNames', { dnsNames: ['a b'] }],
    ['dnsNames', { dnsNames: [`${'a'.repeat(64)}.example`] }],
    ['dnsNames', { dnsNames: [Array.from({ length: 100 }, () => 'abc').join('.')] }],
    ['ipAddresses', { ipAddresses: [new Uint8Array(5)] }],
    ['commonName', { commonName: '' }],
  ])('refuses %s: %o', (field, overrides) => {
    const built = buildTlsServerToBeSigned(fields(overrides));
    expect(built).toMatchObject({ ok: false, reason: 'field_not_allowed' });
    expect(built.ok || built.detail).toMatch(new RegExp(`^${field}: `));
  });
});
