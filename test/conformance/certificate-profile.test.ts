// Each row of worker/docs/certificate-profile.md, asserted from what openssl prints of real certificates.
import { createHash, generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  buildOcspResponderToBeSigned,
  buildScepRaToBeSigned,
  createLeafTemplate,
  keySetSigningOid,
  type ParsedCertificate,
} from '@countersign/x509';
import { afterAll, describe, expect, it } from 'vitest';
import { type CertificateView, viewCertificate } from './x509/certificate-view.ts';
import { Judge } from './x509/judge.ts';
import {
  crlUri,
  deviceId,
  identified,
  makeChain,
  makeKey,
  makeLocalServer,
  must,
  newSerialNumber,
  ocspUri,
  pemOf,
  signWith,
} from './x509/make-chain.ts';

const judge = new Judge();
afterAll(() => judge.remove());
const chain = await makeChain();
const { certificate: localServer } = await makeLocalServer();

type Row = (view: CertificateView) => void;

const constraintsName = 'X509v3 Basic Constraints';
const keyUsageName = 'X509v3 Key Usage';
const purposesName = 'X509v3 Extended Key Usage';
const namesName = 'X509v3 Subject Alternative Name';
const subjectKeyName = 'X509v3 Subject Key Identifier';
const issuerKeyName = 'X509v3 Authority Key Identifier';

const has =
  (name: string, isCritical: boolean, value: string): Row =>
  ({ extensions }) =>
    expect(extensions.get(name)).toEqual({ isCritical, value });

const hasNot =
  (name: string): Row =>
  ({ extensions, text }) => {
    expect(extensions.has(name)).toBe(false);
    expect(text).not.toContain(name);
  };

const colons = (hex: string) => (hex.match(/../g) ?? []).join(':');
const keyIdentifierOf = ({ subjectPublicKey }: ParsedCertificate) =>
  colons(
    createHash('sha256').update(subjectPublicKey.publicKeyBits).digest('hex').slice(0, 40),
  ).toUpperCase();

/** `Nov 21 12:00:00 2026 GMT`, as openssl prints a time. */
function printed(epochMs: number): string {
  const [, date, month, year, time] = new Date(epochMs).toUTCString().split(' ');
  return `${month} ${String(Number(date)).padStart(2)} ${time} ${year} GMT`;
}

/** The rows that every kind of certificate has. */
function commonRows(
  certificate: ParsedCertificate,
  issuer: ParsedCertificate,
  names: { readonly subject: string; readonly issuer: string },
): Record<string, Row> {
  return {
    version: ({ field }) => expect(field('Version:')).toBe('3 (0x2)'),
    'serial number': ({ text }) => {
      const serial = /Serial Number:\s*([0-9a-f:]+)\s/.exec(text)?.[1];
      expect(serial).toBe(colons(certificate.serialNumber));
      expect(serial).toMatch(/^01(:[0-9a-f]{2}){16}$/);
    },
    'signature algorithm': ({ text, structure }) => {
      const algorithms = text.match(/Signature Algorithm: .*/g);
      expect(algorithms).toEqual(Array(2).fill('Signature Algorithm: ecdsa-with-SHA256'));
      expect(structure).not.toMatch(/: NULL/);
    },
    issuer: ({ field }) => {
      expect(field('Issuer:')).toBe(names.issuer);
      expect(certificate.issuer.der).toEqual(issuer.subject.der);
    },
    validity: ({ field, structure }) => {
      expect(certificate.notBeforeMs % 1000).toBe(0);
      expect(field('Not Before:')).toBe(printed(certificate.notBeforeMs));
      expect(field('Not After :')).toBe(printed(certificate.notAfterMs));
      const forms = structure.match(/(UTCTIME|GENERALIZEDTIME) +:/g)?.map((it) => it.slice(0, 3));
      const late = certificate.notAfterMs >= Date.UTC(2050, 0, 1);
      expect(forms).toEqual(['UTC', late ? 'GEN' : 'UTC']);
      expect(certificate.notAfterMs).toBeLessThanOrEqual(issuer.notAfterMs);
      expect(certificate.notBeforeMs).toBeGreaterThanOrEqual(issuer.notBeforeMs);
    },
    subject: ({ field, structure }) => {
      expect(field('Subject:')).toBe(names.subject);
      expect(structure).toMatch(/UTF8STRING/);
      expect(structure).not.toMatch(/PRINTABLESTRING|T61STRING|BMPSTRING/);
    },
    'public key': ({ field }) => {
      expect(field('Public Key Algorithm:')).toBe('id-ecPublicKey');
      expect(field('ASN1 OID:')).toBe('prime256v1');
    },
    'subject key identifier': has(subjectKeyName, false, keyIdentifierOf(certificate)),
  };
}

/** Older versions of openssl print `keyid:` before the identifier. */
const authorityKey =
  (issuer: ParsedCertificate): Row =>
  ({ extensions }) => {
    const extension = extensions.get(issuerKeyName);
    expect(extension?.isCritical).toBe(false);
    expect(extension?.value.replace(/^keyid:/, '')).toBe(keyIdentifierOf(issuer));
  };

const only =
  (...names: readonly string[]): Row =>
  ({ extensions }) =>
    expect([...extensions.keys()].toSorted()).toEqual(names.toSorted());

const { root, issuingCa, issuingKey, leafFields, signer } = chain;
const issuerUri = 'http://broker.example/certificates/7';
const leafTemplate = must(createLeafTemplate(issuingCa, { ocspUri, issuerUri }));
const leaf = await signWith(issuingKey, leafTemplate(leafFields));
const responderFields = {
  ...leafFields,
  serialNumber: newSerialNumber(),
  commonName: 'OCSP responder',
  subjectPublicKey: (await makeKey()).publicKey,
};
const responder = await signWith(
  issuingKey,
  buildOcspResponderToBeSigned(responderFields, issuingCa),
);
const rsaPair = generateKeyPairSync('rsa', { modulusLength: 2048 });
const scepName = 'Countersign SCEP Registration Authority';
const scepAuthority = await signWith(
  issuingKey,
  buildScepRaToBeSigned(
    {
      ...leafFields,
      serialNumber: newSerialNumber(),
      commonName: scepName,
      subjectPublicKey: await identified(
        new Uint8Array(rsaPair.publicKey.export({ format: 'der', type: 'spki' })),
      ),
    },
    issuingCa,
  ),
);
const rootName = 'CN=Example Device Root';
const issuingName = 'CN=MTLS Certificate Authority';
const isEndEntity = has(constraintsName, true, 'CA:FALSE');
const signsOnly = has(keyUsageName, true, 'Digital Signature');
const signsCertificates = has(keyUsageName, true, 'Certificate Sign, CRL Sign');

/** By the heading of the section in the document. */
const kinds: Record<string, { certificate: ParsedCertificate; rows: Record<string, Row> }> = {
  'Device certificate (leaf)': {
    certificate: leaf,
    rows: {
      ...commonRows(leaf, issuingCa, { subject: 'CN=Gerät 7', issuer: issuingName }),
      'basic constraints': isEndEntity,
      'key usage': signsOnly,
      'extended key usage': has(purposesName, false, 'TLS Web Client Authentication'),
      'subject alternative name': has(namesName, false, `URI:urn:countersign:device:${deviceId}`),
      'authority key identifier': authorityKey(issuingCa),
      'CRL distribution point': has(
        'X509v3 CRL Distribution Points',
        false,
        `Full Name: URI:${crlUri}`,
      ),
      'authority information access': has(
        'Authority Information Access',
        false,
        `OCSP - URI:${ocspUri} CA Issuers - URI:${issuerUri}`,
      ),
      'nothing else': only(
        constraintsName,
        keyUsageName,
        purposesName,
        namesName,
        subjectKeyName,
        issuerKeyName,
        'X509v3 CRL Distribution Points',
        'Authority Information Access',
      ),
    },
  },
  'Issuing certificate authority': {
    certificate: issuingCa,
    rows: {
      ...commonRows(issuingCa, root, { subject: issuingName, issuer: rootName }),
      'basic constraints': has(constraintsName, true, 'CA:TRUE, pathlen:0'),
      'key usage': signsCertificates,
      'extended key usage': has(purposesName, false, 'TLS Web Client Authentication, OCSP Signing'),
      'subject alternative name': hasNot(namesName),
      'authority key identifier': authorityKey(root),
      'nothing else': only(
        constraintsName,
        keyUsageName,
        purposesName,
        subjectKeyName,
        issuerKeyName,
      ),
    },
  },
  'Root certificate authority': {
    certificate: root,
    rows: {
      ...commonRows(root, root, { subject: rootName, issuer: rootName }),
      'basic constraints': has(constraintsName, true, 'CA:TRUE, pathlen:1'),
      'key usage': signsCertificates,
      'extended key usage': hasNot(purposesName),
      'subject alternative name': hasNot(namesName),
      'authority key identifier': hasNot(issuerKeyName),
      'nothing else': only(constraintsName, keyUsageName, subjectKeyName),
    },
  },
  'Key-set signer': {
    certificate: signer,
    rows: {
      ...commonRows(signer, root, { subject: 'CN=Countersign Key Set Signer', issuer: rootName }),
      'basic constraints': isEndEntity,
      'key usage': signsOnly,
      'extended key usage': has(purposesName, true, keySetSigningOid),
      'subject alternative name': hasNot(namesName),
      'authority key identifier': authorityKey(root),
      'nothing else': only(
        constraintsName,
        keyUsageName,
        purposesName,
        subjectKeyName,
        issuerKeyName,
      ),
    },
  },
  'OCSP responder': {
    certificate: responder,
    rows: {
      ...commonRows(responder, issuingCa, { subject: 'CN=OCSP responder', issuer: issuingName }),
      // openssl asn1parse does not look into extensions, where the NULL is.
      'basic constraints': isEndEntity,
      'key usage': signsOnly,
      'extended key usage': has(purposesName, false, 'OCSP Signing'),
      'no check': has('OCSP No Check', false, ''),
      'subject alternative name': hasNot(namesName),
      'authority key identifier': authorityKey(issuingCa),
      'nothing else': only(
        constraintsName,
        keyUsageName,
        purposesName,
        'OCSP No Check',
        subjectKeyName,
        issuerKeyName,
      ),
    },
  },
  'Registration authority of SCEP': {
    certificate: scepAuthority,
    rows: {
      ...commonRows(scepAuthority, issuingCa, { subject: `CN=${scepName}`, issuer: issuingName }),
      // An RSA key's algorithm has a NULL (RFC 3279 section 2.3.1), so the structure is not searched for one.
      'signature algorithm': ({ text }) =>
        expect(text.match(/Signature Algorithm: .*/g)).toEqual(
          Array(2).fill('Signature Algorithm: ecdsa-with-SHA256'),
        ),
      'public key': ({ field, text }) => {
        expect(field('Public Key Algorithm:')).toBe('rsaEncryption');
        expect(text).toMatch(/Public-Key: \(2048 bit\)/);
        expect(text).toMatch(/Exponent: 65537 /);
      },
      'basic constraints': isEndEntity,
      'key usage': has(keyUsageName, true, 'Digital Signature, Key Encipherment'),
      'extended key usage': hasNot(purposesName),
      'subject alternative name': hasNot(namesName),
      'authority key identifier': authorityKey(issuingCa),
      'nothing else': only(constraintsName, keyUsageName, subjectKeyName, issuerKeyName),
    },
  },
  'TLS server on the same machine': {
    certificate: localServer,
    rows: {
      ...commonRows(localServer, localServer, {
        subject: 'CN=Countersign on this machine',
        issuer: 'CN=Countersign on this machine',
      }),
      'basic constraints': isEndEntity,
      'key usage': signsOnly,
      'extended key usage': has(purposesName, false, 'TLS Web Server Authentication'),
      'subject alternative name': has(
        namesName,
        false,
        'DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1',
      ),
      'authority key identifier': hasNot(issuerKeyName),
      'nothing else': only(constraintsName, keyUsageName, purposesName, namesName, subjectKeyName),
    },
  },
};

describe.each(Object.entries(kinds))('%s', (kind, { certificate, rows }) => {
  const path = judge.write(`${kind.replaceAll(' ', '-')}.pem`, pemOf(certificate));
  const view = viewCertificate(judge, path);
  it.each(Object.entries(rows))('%s', (_, row) => row(view));
});

it('every row of the document is asserted here, and the other way round', () => {
  const document = new URL('../../worker/docs/certificate-profile.md', import.meta.url);
  const sections = readFileSync(document, 'utf8').split(/^## /m).slice(1);
  const documented = sections.map((section): [string, string[]] => [
    section.split('\n', 1)[0] ?? '',
    [...section.matchAll(/^\| \*\*(.+?)\*\* \|/gm)].map((match) => match[1] ?? '').toSorted(),
  ]);
  const asserted = Object.entries(kinds).map(([kind, { rows }]): [string, string[]] => [
    kind,
    Object.keys(rows).toSorted(),
  ]);
  expect(documented.filter(([, rows]) => rows.length > 0)).toEqual(asserted);
});
