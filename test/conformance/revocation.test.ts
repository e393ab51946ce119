// A device's certificate from its issue to its revocation, as programs see it that know nothing but the certificate:
// they take from it where to ask, and believe only what is signed.
import { request as httpRequest } from 'node:http';
import { decodeBase64url } from '@countersign/protocol';
import { FakeDevice } from '@countersign/testkit/fake-device';
import {
  encodePem,
  type ParsedCertificate,
  type ParsedCrl,
  parseCertificate,
  parseCrl,
  verifyCrlSignature,
} from '@countersign/x509';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { certificateOf } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';
import { Judge } from './x509/judge.ts';
import { must } from './x509/make-chain.ts';

/** An enrolled device and what its certificate says. */
type Enrolled = {
  readonly device: FakeDevice;
  readonly file: string;
  readonly serialNumber: string;
  readonly crlUri: string;
  readonly ocspUri: string;
  readonly issuerUri: string;
};

const judge = new Judge();
let broker: TestBroker;
let good: Enrolled;
let revoked: Enrolled;
let issuer: ParsedCertificate;
let rootFile: string;
let issuingFile: string;
let chainFile: string;

const derOf = (text: string) => decodeBase64url(text) ?? new Uint8Array();

async function enroll(name: string): Promise<Enrolled> {
  const device = await FakeDevice.create();
  const answer = await broker.client.enroll(device);
  const leaf = must(parseCertificate(derOf(answer.certificate)));
  const file = judge.write(`${name}.pem`, encodePem('CERTIFICATE', leaf.der));
  const text = judge.tell('openssl', 'x509', '-in', file, '-noout', '-text');
  const find = (pattern: RegExp) => {
    const [, uri, ...more] = text.split(pattern);
    if (uri === undefined || more.length > 1) throw new Error(text);
    return uri;
  };
  issuer = must(parseCertificate(derOf(answer.issuer_certificate)));
  const root = encodePem('CERTIFICATE', derOf(answer.root_certificate));
  const issuing = encodePem('CERTIFICATE', issuer.der);
  rootFile = judge.write('root.pem', root);
  issuingFile = judge.write('issuing.pem', issuing);
  chainFile = judge.write('chain.pem', issuing + root);
  return {
    device,
    file,
    serialNumber: leaf.serialNumber,
    crlUri: find(/CRL Distribution Points:\s+Full Name:\s+URI:(\S+)/),
    ocspUri: find(/OCSP - URI:(\S+)/),
    issuerUri: find(/CA Issuers - URI:(\S+)/),
  };
}

async function askOpenssl({ file, ocspUri }: Enrolled, ...options: readonly string[]) {
  const question = ['-issuer', issuingFile, '-cert', file, '-url', ocspUri, ...options];
  return (await judge.askOnline('openssl', 'ocsp', ...question, '-CAfile', chainFile)).text;
}

async function fetchCrl({ crlUri }: Enrolled): Promise<ParsedCrl> {
  const response = await fetch(crlUri);
  expect(response.headers.get('Content-Type')).toBe('application/pkix-crl');
  const crl = must(parseCrl(new Uint8Array(await response.arrayBuffer())));
  must(await verifyCrlSignature(crl, issuer.subjectPublicKey));
  return crl;
}

const isListed = async (enrolled: Enrolled) =>
  (await fetchCrl(enrolled)).entries.some((entry) => entry.serialNumber === enrolled.serialNumber);

const verifyByDownload = ({ file }: Enrolled) =>
  judge.askOnline(
    'openssl',
    ...['verify', '-x509_strict', '-crl_check', '-crl_download'],
    ...['-CAfile', rootFile, '-untrusted', issuingFile, file],
  );

beforeAll(async () => {
  broker = await TestBroker.start();
  good = await enroll('good');
  revoked = await enroll('revoked');
  // Its standing follows the certificate a moment later.
  for (const each of [good, revoked]) {
    await vi.waitFor(async () => expect(await askOpenssl(each)).toContain(': good'), {
      timeout: 20_000,
      interval: 200,
    });
  }
});
afterAll(async () => {
  judge.remove();
  await broker?.stopAndRemove();
});

describe('a certificate that is in order', () => {
  it('says where its list, its status and its issuer are', async () => {
    const list = await fetchCrl(good);
    expect(list.distributionPoints).toEqual([good.crlUri]);
    const response = await fetch(good.issuerUri);
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(new Uint8Array(issuer.der));
  });

  it.each([['-sha1'], ['-sha256']])('is good to openssl ocsp %s, with a nonce', async (hash) => {
    const question = ['-issuer', issuingFile, hash, '-cert', good.file, '-url', good.ocspUri];
    const options = ['-CAfile', chainFile, '-resp_text'];
    const { text } = await judge.askOnline('openssl', 'ocsp', ...question, ...options);
    expect(text).toContain('Response verify OK');
    expect(text).toMatch(/good\.pem: good/);
    expect(text).toContain('OCSP Nonce');
    expect(text).not.toContain('WARNING');
  });

  it('is good to ocsptool of GnuTLS and to pki of strongSwan, which ask by themselves', async () => {
    const question = ['--load-issuer', issuingFile, '--load-cert', good.file];
    const trust = ['--load-trust', chainFile];
    const { text: asked } = await judge.askOnline(
      'ocsptool',
      `--ask=${good.ocspUri}`,
      '--nonce',
      ...question,
      ...trust,
    );
    expect(asked).toContain('Certificate Status: good');
    expect(asked).toContain('Success');
    const chain = ['--cacert', rootFile, '--cacert', issuingFile, '--in', good.file];
    const { text: verified } = await judge.askOnline('pki', '--verify', '--online', ...chain);
    expect(verified).toContain('certificate status is good');
    expect(verified).toContain('ocsp response is valid');
  });

  it('is accepted by openssl verify, which fetches the list', async () => {
    expect(await verifyByDownload(good)).toMatchObject({ accepted: true });
  });

  it('has its status by GET too, through whatever a path may hold', async () => {
    judge.tell(
      'openssl',
      ...['ocsp', '-issuer', issuingFile, '-cert', good.file, '-no_nonce', '-reqout', 'get.der'],
    );
    const base64 = Buffer.from(judge.read('get.der')).toString('base64');
    const { port } = new URL(good.ocspUri);
    for (const path of [base64, encodeURIComponent(base64)]) {
      // As it is written: fetch would tidy the path up.
      const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
      const asked = httpRequest({ port, path: `/ocsp/${path}` }, (response) => {
        expect(response.headers['cache-control']).toMatch(/^public, max-age=300/);
        response.on('data', resolve);
      });
      asked.on('error', reject).end();
      const file = judge.write('got.der', await promise);
      const files = ['-respin', file, '-issuer', issuingFile, '-cert', good.file];
      const text = judge.tell('openssl', 'ocsp', '-no_nonce', ...files, '-CAfile', chainFile);
      expect(text).toContain('Response verify OK');
      expect(text).toContain('good.pem: good');
    }
  });
});

describe('a certificate that is held', () => {
  const change = async (verb: 'hold' | 'release') => {
    const { fingerprint_sha256 } = await certificateOf(broker, good.device);
    const path = `/v1/admin/devices/${good.device.deviceId}/certificates/${fingerprint_sha256}`;
    const response = await broker.client.admin('POST', `${path}/${verb}`, {});
    expect([verb, response.status]).toEqual([verb, 200]);
  };

  it('is on its list until it is released, and good again then', async () => {
    await change('hold');
    await vi.waitFor(async () => expect(await isListed(good)).toBe(true), { timeout: 20_000 });
    expect(await askOpenssl(good, '-no_nonce')).toMatch(/revoked[\s\S]*Reason: certificateHold/);
    expect((await verifyByDownload(good)).text).toContain('certificate revoked');
    await change('release');
    await vi.waitFor(async () => expect(await isListed(good)).toBe(false), { timeout: 20_000 });
    expect(await askOpenssl(good, '-no_nonce')).toContain('good.pem: good');
    expect(await verifyByDownload(good)).toMatchObject({ accepted: true });
  });
});

describe('#43 a certificate that was revoked', () => {
  let before: ParsedCrl;
  beforeAll(async () => {
    before = await fetchCrl(revoked);
    const { fingerprint_sha256 } = await certificateOf(broker, revoked.device);
    await broker.client.revoke(revoked.device.deviceId ?? '', fingerprint_sha256);
    await vi.waitFor(async () => expect(await isListed(revoked)).toBe(true), { timeout: 20_000 });
  });

  it('is on its list, with its reason, under a higher number', async () => {
    const crl = await fetchCrl(revoked);
    const entry = crl.entries.find((each) => each.serialNumber === revoked.serialNumber);
    expect(entry?.reason).toBe('keyCompromise');
    expect(crl.number).toBeGreaterThan(before.number);
    expect(await isListed(good)).toBe(false);
  });

  it('is revoked to openssl ocsp, with a nonce and without', async () => {
    for (const options of [[], ['-no_nonce']]) {
      const text = await askOpenssl(revoked, ...options);
      expect(text).toContain('Response verify OK');
      expect(text).toMatch(/revoked\.pem: revoked[\s\S]*Reason: keyCompromise/);
    }
    expect(await askOpenssl(good, '-no_nonce')).toMatch(/good\.pem: good/);
  });

  it('is refused by openssl verify, which fetches the list', async () => {
    const refused = await verifyByDownload(revoked);
    expect(refused.accepted).toBe(false);
    expect(refused.text).toContain('certificate revoked');
    expect(await verifyByDownload(good)).toMatchObject({ accepted: true });
  });

  it('is refused by certtool, ocsptool and pki', async () => {
    const crlFile = judge.write('revoked.crl', (await fetchCrl(revoked)).der);
    judge.tell('openssl', 'crl', '-inform', 'DER', '-in', crlFile, '-out', 'revoked-crl.pem');
    const chain = judge.write(
      'revoked-chain.pem',
      Buffer.concat([judge.read('revoked.pem'), judge.read('issuing.pem')]),
    );
    const trust = ['--load-ca-certificate', rootFile, '--load-crl', 'revoked-crl.pem'];
    const verdict = judge.ask('certtool', '--verify', ...trust, '--infile', chain);
    expect(verdict.accepted).toBe(false);
    expect(verdict.text).toMatch(/revoked/);

    const question = ['--load-issuer', issuingFile, '--load-cert', revoked.file];
    const asked = await judge.askOnline(
      'ocsptool',
      ...[`--ask=${revoked.ocspUri}`, ...question, '--load-trust', chainFile],
    );
    expect(asked.text).toContain('Certificate Status: revoked');

    const authorities = ['--cacert', rootFile, '--cacert', issuingFile, '--in', revoked.file];
    const online = await judge.askOnline('pki', '--verify', '--online', ...authorities);
    expect(online.accepted).toBe(false);
    expect(online.text).toContain('certificate was revoked');
  });

  it('stays so after a restart, and its list goes on', async () => {
    const { number } = await fetchCrl(revoked);
    await broker.stop();
    await broker.startAgain();
    expect(await isListed(revoked)).toBe(true);
    expect((await fetchCrl(revoked)).number).toBeGreaterThanOrEqual(number);
    expect(await askOpenssl(revoked)).toMatch(/revoked\.pem: revoked/);
  });

  it('#42 has left no key in a log, nor a way to have anything signed', async () => {
    for (const line of broker.logLines) expect(line).not.toMatch(/PRIVATE|"d":|BEGIN/);
    const wanted = Buffer.from('to be signed');
    const response = await fetch(good.ocspUri, {
      method: 'POST',
      headers: { 'Content-Type': 'application/ocsp-request' },
      body: wanted,
    });
    expect(Buffer.from(await response.arrayBuffer()).toString('hex')).toBe('30030a0101');
  });
});
