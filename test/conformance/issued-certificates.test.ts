// Certificates that the broker issued over HTTP, as openssl and GnuTLS see them: the rows of
// worker/docs/certificate-profile.md, for the authorities of the data folder and for every kind of device key.
import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DeviceKeyKind, FakeDevice } from '@countersign/testkit/fake-device';
import { keySetSigningOid } from '@countersign/x509';
import { decodeProtectedHeader } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parsed } from '../support/forge-certificate.ts';
import { TestBroker } from '../support/test-broker.ts';
import { type CertificateView, viewCertificate } from './x509/certificate-view.ts';
import { Judge } from './x509/judge.ts';

const judge = new Judge();
let broker: TestBroker;

/** DER by name, as the broker gave them out. */
const certificates = new Map<string, Buffer>();
const views = new Map<string, CertificateView>();
let deviceIds: Record<string, string>;

const kinds: readonly DeviceKeyKind[] = ['ec-p256', 'ec-p384', 'rsa-2048'];
const fileOf = (name: string) => join(judge.folder, `${name}.pem`);

function keep(name: string, der: string): void {
  const certificate = Buffer.from(der, 'base64url');
  certificates.set(name, certificate);
  judge.write(`${name}.pem`, new X509Certificate(certificate).toString());
  views.set(name, viewCertificate(judge, fileOf(name)));
}

beforeAll(async () => {
  broker = await TestBroker.start();
  deviceIds = {};
  for (const kind of kinds) {
    const device = await FakeDevice.create(undefined, kind);
    const answer = await broker.client.enroll(device);
    keep(kind, answer.certificate);
    keep('issuer', answer.issuer_certificate);
    keep('root', answer.root_certificate);
    deviceIds[kind] = answer.device_id;
    const { x5c: [signer = ''] = [] } = decodeProtectedHeader(answer.key_set);
    keep('key-set-signer', Buffer.from(signer, 'base64').toString('base64url'));
  }
  const tls = readFileSync(join(broker.dataDirectory, 'tls', 'certificate.pem'));
  keep('tls', new X509Certificate(tls).raw.toString('base64url'));
});
afterAll(async () => {
  judge.remove();
  await broker?.stopAndRemove();
});

const view = (name: string): CertificateView => {
  const found = views.get(name);
  if (found === undefined) throw new Error(`there is no ${name}`);
  return found;
};
const extension = (name: string, label: string) => view(name).extensions.get(label);
const der = (name: string) => parsed(certificates.get(name));

const constraints = 'X509v3 Basic Constraints';
const keyUsage = 'X509v3 Key Usage';
const purposes = 'X509v3 Extended Key Usage';
const names = 'X509v3 Subject Alternative Name';
const subjectKey = 'X509v3 Subject Key Identifier';
const issuerKey = 'X509v3 Authority Key Identifier';
const distributionPoints = 'X509v3 CRL Distribution Points';
const informationAccess = 'Authority Information Access';
const critical = (value: string) => ({ isCritical: true, value });
const plain = (value: string) => ({ isCritical: false, value });
const dayMs = 86_400_000;

const keyIdentifier = (name: string) => {
  const hash = createHash('sha256').update(der(name).subjectPublicKey.publicKeyBits).digest('hex');
  return (hash.slice(0, 40).toUpperCase().match(/../g) ?? []).join(':');
};

describe.each(kinds)('a device certificate for %s', (kind) => {
  it('has version, serial number and signature algorithm of the profile', () => {
    expect(view(kind).field('Version:')).toBe('3 (0x2)');
    expect(view(kind).text).toMatch(/Serial Number:\s+01(:[0-9a-f]{2}){16}\n/);
    expect(view(kind).text.match(/Signature Algorithm: .*/g)).toEqual(
      Array(2).fill('Signature Algorithm: ecdsa-with-SHA256'),
    );
  });

  it('has the names of the profile, and no name of the request', () => {
    expect(view(kind).field('Issuer:')).toBe('CN=MTLS Certificate Authority');
    expect(view(kind).field('Subject:')).toBe('CN=Countersign device');
    expect(der(kind).issuer.der).toEqual(der('issuer').subject.der);
    expect(view(kind).structure).not.toMatch(/PRINTABLESTRING|T61STRING|BMPSTRING/);
  });

  it('#41 lives a year from an hour ago, inside the life of its issuer', () => {
    const { notBeforeMs, notAfterMs } = der(kind);
    const expected = Date.now() - 3_600_000;
    expect(Math.abs(notBeforeMs - expected)).toBeLessThan(120_000);
    expect(notAfterMs - notBeforeMs).toBe(365 * dayMs + 3_600_000);
    expect(notAfterMs).toBeLessThanOrEqual(der('issuer').notAfterMs);
    expect(notBeforeMs).toBeGreaterThanOrEqual(der('issuer').notBeforeMs);
    expect(view(kind).structure).not.toContain('GENERALIZEDTIME');
  });

  it('has the extensions of the profile and no others', () => {
    const allowed = [constraints, keyUsage, purposes, names, subjectKey, issuerKey];
    allowed.push(distributionPoints, informationAccess);
    expect([...view(kind).extensions.keys()].sort()).toEqual(allowed.sort());
    expect(extension(kind, constraints)).toEqual(critical('CA:FALSE'));
    expect(extension(kind, keyUsage)).toEqual(critical('Digital Signature'));
    expect(extension(kind, purposes)).toEqual(plain('TLS Web Client Authentication'));
    expect(extension(kind, names)).toEqual(plain(`URI:urn:countersign:device:${deviceIds[kind]}`));
    expect(extension(kind, subjectKey)).toEqual(plain(keyIdentifier(kind)));
    const authority = extension(kind, issuerKey);
    expect(authority?.isCritical).toBe(false);
    expect(authority?.value.replace(/^keyid:/, '')).toBe(keyIdentifier('issuer'));
    const places = extension(kind, distributionPoints);
    expect(places?.isCritical).toBe(false);
    // One list of sixteen, by the last octet of the serial number.
    const serialNumber = Buffer.from(
      new X509Certificate(certificates.get(kind) ?? '').serialNumber,
      'hex',
    );
    const shard = (serialNumber.at(-1) ?? 0) % 16;
    expect(places?.value).toMatch(
      new RegExp(`URI:${broker.client.brokerUrl}/crl/[\\w-]{43}/${shard}\\.crl$`),
    );
    const access = extension(kind, informationAccess);
    expect(access?.isCritical).toBe(false);
    expect(access?.value).toContain(`OCSP - URI:${broker.client.brokerUrl}/ocsp`);
    expect(access?.value).toContain(`CA Issuers - URI:${broker.client.brokerUrl}/certificates/`);
  });

  it('is accepted by openssl as a TLS client, and for no other purpose', () => {
    const verify = (purpose: string, ...more: string[]) =>
      judge.ask(
        'openssl',
        ...['verify', '-x509_strict', '-purpose', purpose, '-CAfile', fileOf('root')],
        ...['-untrusted', fileOf('issuer'), ...more, fileOf(kind)],
      ).accepted;
    expect(verify('sslclient')).toBe(true);
    expect(verify('sslclient', '-policy_check', '-check_ss_sig')).toBe(true);
    for (const purpose of ['sslserver', 'smimesign', 'smimeencrypt', 'crlsign', 'timestampsign']) {
      expect(verify(purpose), purpose).toBe(false);
    }
    const nextYear = String(Math.floor(Date.now() / 1000) + 366 * 86_400);
    expect(verify('sslclient', '-attime', nextYear)).toBe(false);
    const yesterday = String(Math.floor(Date.now() / 1000) - 86_400);
    expect(verify('sslclient', '-attime', yesterday)).toBe(false);
  });

  it('is accepted by GnuTLS under the root', () => {
    const chain = ['root', 'issuer', kind].reverse().map((name) => readFileSync(fileOf(name)));
    const chainFile = judge.write(`${kind}-chain.pem`, Buffer.concat(chain));
    const accepted = judge.ask(
      'certtool',
      ...['--verify', '--verify-profile=medium', `--load-ca-certificate=${fileOf('root')}`],
      ...[`--infile=${chainFile}`],
    );
    expect(accepted.text).toMatch(
      /Chain verification output: Verified\. The certificate is trusted\./,
    );
    const underItself = judge.ask(
      'certtool',
      ...['--verify', `--load-ca-certificate=${fileOf(kind)}`, `--infile=${fileOf('issuer')}`],
    );
    expect(underItself.accepted).toBe(false);
  });
});

describe('the authorities of the data folder', () => {
  it('the root signs authorities and nothing else', () => {
    expect(extension('root', constraints)).toEqual(critical('CA:TRUE, pathlen:1'));
    expect(extension('root', keyUsage)).toEqual(critical('Certificate Sign, CRL Sign'));
    expect(view('root').extensions.has(purposes)).toBe(false);
    expect(view('root').field('Issuer:')).toBe(view('root').field('Subject:'));
  });

  it('the issuer signs clients, never an authority or a server', () => {
    expect(extension('issuer', constraints)).toEqual(critical('CA:TRUE, pathlen:0'));
    expect(extension('issuer', keyUsage)).toEqual(critical('Certificate Sign, CRL Sign'));
    expect(extension('issuer', purposes)).toEqual(
      plain('TLS Web Client Authentication, OCSP Signing'),
    );
    expect(view('issuer').field('Issuer:')).toBe(view('root').field('Subject:'));
    const verified = judge.ask(
      'openssl',
      'verify',
      '-x509_strict',
      '-CAfile',
      fileOf('root'),
      fileOf('issuer'),
    );
    expect(verified.accepted).toBe(true);
  });

  it('the key-set signer has a purpose of its own', () => {
    expect(extension('key-set-signer', constraints)).toEqual(critical('CA:FALSE'));
    expect(extension('key-set-signer', keyUsage)).toEqual(critical('Digital Signature'));
    expect(extension('key-set-signer', purposes)).toEqual(critical(keySetSigningOid));
    const asClient = judge.ask(
      'openssl',
      ...['verify', '-purpose', 'sslclient', '-CAfile', fileOf('root'), fileOf('key-set-signer')],
    );
    expect(asClient.accepted).toBe(false);
  });

  it('the TLS certificate is for this machine, and under no authority', () => {
    expect(extension('tls', purposes)).toEqual(plain('TLS Web Server Authentication'));
    expect(extension('tls', constraints)).toEqual(critical('CA:FALSE'));
    expect(extension('tls', names)?.value).toContain('IP Address:127.0.0.1');
    const underRoot = judge.ask('openssl', 'verify', '-CAfile', fileOf('root'), fileOf('tls'));
    expect(underRoot.accepted).toBe(false);
  });
});

it('every certificate is in DER, byte for byte what openssl would write', () => {
  for (const [name, original] of certificates) {
    const args = ['x509', '-in', fileOf(name), '-outform', 'DER', '-out', 'again.der'];
    judge.tell('openssl', ...args);
    expect(readFileSync(join(judge.folder, 'again.der')), name).toEqual(original);
  }
});
