// Certificate signing requests made by openssl, sent to the broker: which keys it certifies, and that it copies nothing else.
import { createPublicKey, X509Certificate } from 'node:crypto';
import type { ProblemCode } from '@countersign/protocol';
import { enrollmentAnswer } from '@countersign/protocol/enrollment';
import {
  assembleCertificationRequest,
  buildCertificationRequestInfo,
  decodePem,
  parseSubjectPublicKeyInfo,
} from '@countersign/x509';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readBrokerCertificate } from '../support/broker-keys.ts';
import { expectProblem } from '../support/expect-answer.ts';
import { newKeyPair } from '../support/forge-certificate.ts';
import { processorMs } from '../support/process-time.ts';
import { TestBroker } from '../support/test-broker.ts';
import { viewCertificate } from './x509/certificate-view.ts';
import { Judge } from './x509/judge.ts';
import { must } from './x509/make-chain.ts';
import { type OpensslKeyName, opensslKeys } from './x509/openssl-keys.ts';

const judge = new Judge();
let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start();
  judge.write('plain.cnf', '[req]\ndistinguished_name=dn\n[dn]\n');
});
afterAll(async () => {
  judge.remove();
  await broker?.stopAndRemove();
});

const keyFiles = new Map<OpensslKeyName, string>();
function keyFile(name: OpensslKeyName): string {
  const file = keyFiles.get(name) ?? `${name.replaceAll(' ', '-')}.key`;
  if (!keyFiles.has(name)) judge.tell('openssl', 'genpkey', ...opensslKeys[name], '-out', file);
  keyFiles.set(name, file);
  return file;
}

/** DER of a request that openssl made. */
function requestOf(key: string, ...args: readonly string[]): Buffer {
  const base = ['-new', '-config', 'plain.cnf', '-subj', '/CN=laptop', '-key', key];
  const pem = judge.tell('openssl', 'req', ...base, ...args);
  return Buffer.from(must(decodePem(pem, 'CERTIFICATE REQUEST')));
}

/** Sends a request for a device of its own; its token is fresh. */
async function submit(csr: Uint8Array | string, serialNumber = `CSR${crypto.randomUUID()}`) {
  const hardwareId = { serial_number: serialNumber };
  const { enrollment_token } = await broker.client.createEnrollmentToken(hardwareId);
  return await broker.client.post('/v1/enrollments', {
    authority: { type: 'one_time_token', token: enrollment_token },
    hardware_id: hardwareId,
    csr: typeof csr === 'string' ? csr : Buffer.from(csr).toString('base64url'),
  });
}

async function issue(csr: Uint8Array, serialNumber?: string) {
  const response = await submit(csr, serialNumber);
  const text = await response.text();
  expect(response.status, text).toBe(201);
  const answer = enrollmentAnswer.parse(JSON.parse(text));
  const certificate = new X509Certificate(Buffer.from(answer.certificate, 'base64url'));
  return { certificate, answer };
}

async function expectRefused(csr: Uint8Array, code: ProblemCode) {
  return await expectProblem(await submit(csr), 400, code, 'csr');
}

describe('#27 a key', () => {
  it.each(['P-256', 'P-384', 'RSA-2048', 'RSA-3072', 'RSA-4096'] as const)(
    '%s is certified',
    async (name) => {
      const { certificate } = await issue(requestOf(keyFile(name)));
      const expected = judge.tell('openssl', 'pkey', '-in', keyFile(name), '-pubout');
      expect(certificate.publicKey.export({ format: 'pem', type: 'spki' })).toBe(expected);
    },
    30_000,
  );

  it.each([
    'P-521',
    'secp256k1',
    'P-256 with explicit parameters',
    'RSA-1024',
    'RSA with exponent 3',
    'RSA-PSS',
    'Ed25519',
  ] as const)('%s is refused', async (name) => {
    await expectRefused(requestOf(keyFile(name)), 'csr_key_not_allowed');
  });

  it('P-256 as a compressed point is refused', async () => {
    const args = ['-in', keyFile('P-256'), '-conv_form', 'compressed', '-out', 'compressed.key'];
    judge.tell('openssl', 'ec', ...args);
    await expectRefused(requestOf('compressed.key'), 'csr_key_not_allowed');
  });
});

describe('#26 the proof of possession', () => {
  it.each([
    ['SHA-1 by P-256', 'P-256', ['-sha1']],
    ['SHA-1 by RSA', 'RSA-2048', ['-sha1']],
    ['MD5 by RSA', 'RSA-2048', ['-md5']],
  ] as const)('%s is refused', async (_, name, args) => {
    await expectRefused(requestOf(keyFile(name), ...args), 'csr_malformed');
  });

  it.each(['P-256', 'P-384', 'RSA-2048'] as const)(
    'of %s is refused when one bit of it is changed',
    async (name) => {
      const csr = requestOf(keyFile(name));
      csr[csr.length - 1] = (csr.at(-1) ?? 0) ^ 1;
      await expectRefused(csr, 'csr_signature_invalid');
    },
  );

  it('is refused when the request was changed after it', async () => {
    const csr = requestOf(keyFile('P-256'));
    const name = csr.indexOf('laptop');
    csr.write('topLap', name);
    await expectRefused(csr, 'csr_signature_invalid');
  });

  it("#28 is refused for the broker's own keys, which nobody outside can use", async () => {
    const attacker = newKeyPair();
    for (const name of ['root', 'issuer', 'key-set-signer'] as const) {
      const { publicKey } = readBrokerCertificate(broker.dataDirectory, name);
      const spki = must(
        parseSubjectPublicKeyInfo(publicKey.export({ format: 'der', type: 'spki' })),
      );
      const info = must(buildCertificationRequestInfo(spki, 'laptop'));
      const key = await crypto.subtle.importKey(
        'pkcs8',
        new Uint8Array(attacker.privateKey.export({ format: 'der', type: 'pkcs8' })),
        { name: 'ECDSA', namedCurve: 'P-256' },
        false,
        ['sign'],
      );
      const signature = await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, key, info);
      const csr = must(assembleCertificationRequest(info, new Uint8Array(signature), spki));
      await expectRefused(csr, 'csr_signature_invalid');
    }
  });
});

describe('#25 what a request asks for beside its key', () => {
  const wishes = `
[req]
distinguished_name = dn
[dn]
[wishes]
basicConstraints = critical,CA:TRUE,pathlen:3
keyUsage = critical,keyCertSign,cRLSign,keyEncipherment
extendedKeyUsage = serverAuth,codeSigning,anyExtendedKeyUsage
subjectAltName = URI:urn:countersign:device:AAAAAAAAAAAAAAAAAAAAAA,DNS:sso.example.com,email:root@example.com,IP:127.0.0.1,otherName:1.3.6.1.4.1.311.20.2.3;UTF8:admin@example.com
subjectKeyIdentifier = hash
crlDistributionPoints = URI:http://evil.example/crl
authorityInfoAccess = OCSP;URI:http://evil.example/ocsp
nameConstraints = permitted;DNS:.evil.example
certificatePolicies = 1.2.3.4
1.2.3.4.5 = critical,ASN1:UTF8String:unknown
`;

  it('is not in the certificate: it is the one that a plain request gets', async () => {
    judge.write('wishes.cnf', wishes);
    const serialNumber = `CSR${crypto.randomUUID()}`;
    const subject = '/C=XX/O=Evil/OU=Admins/CN=root/emailAddress=root@example.com';
    const base = ['-new', '-config', 'wishes.cnf', '-reqexts', 'wishes', '-subj', subject];
    judge.tell('openssl', 'genpkey', ...opensslKeys['P-256'], '-out', 'wishes.key');
    const pem = judge.tell('openssl', 'req', ...base, '-key', 'wishes.key');
    judge.write('wishes.csr', pem);
    const printed = judge.tell('openssl', 'req', '-in', 'wishes.csr', '-noout', '-text');
    for (const wish of [
      'CA:TRUE',
      'TLS Web Server',
      'sso.example.com',
      '1.2.3.4.5: critical',
      'UPN',
    ]) {
      expect(printed).toContain(wish);
    }

    const wished = await issue(must(decodePem(pem, 'CERTIFICATE REQUEST')), serialNumber);
    judge.tell('openssl', 'genpkey', ...opensslKeys['P-256'], '-out', 'plain.key');
    const plain = await issue(requestOf('plain.key'), serialNumber);

    // Serial number, times, key and signature differ between any two certificates.
    const view = (name: string, { certificate }: typeof plain) =>
      viewCertificate(judge, judge.write(name, certificate.toString()));
    const [a, b] = [view('wished.pem', wished), view('plain.pem', plain)];
    const keyIdentifier = 'X509v3 Subject Key Identifier';
    const comparable = ({ extensions }: typeof a) =>
      [...extensions]
        .filter(([name]) => name !== keyIdentifier)
        // Which list a certificate would be on follows from its serial number.
        .map(([name, { value, ...rest }]) => [
          name,
          { ...rest, value: value.replace(/\/\d+\.crl$/, '/shard.crl') },
        ]);
    expect(comparable(a)).toEqual(comparable(b));
    expect(a.field('Subject:')).toBe(b.field('Subject:'));
    expect(a.field('Issuer:')).toBe(b.field('Issuer:'));
    const lifetime = ({ certificate }: typeof plain) =>
      Date.parse(certificate.validTo) - Date.parse(certificate.validFrom);
    expect(lifetime(wished)).toBe(lifetime(plain));
    expect(a.text).not.toMatch(/evil|Evil|example|laptop|1\.2\.3\.4/);
    expect(a.extensions.get('X509v3 Subject Alternative Name')?.value).toBe(
      `URI:urn:countersign:device:${wished.answer.device_id}`,
    );
  });
});

describe('#29 bytes that are no request', () => {
  const good = () => requestOf(keyFile('P-256'));
  /** Header of the outermost SEQUENCE, and what is inside. */
  const contentOf = (der: Buffer) => der.subarray(der[1] === 0x81 ? 3 : 4);
  const length16 = (length: number) => Buffer.from([length >> 8, length & 0xff]);
  const element = (tag: number, content: Uint8Array) =>
    Buffer.concat([Buffer.from([tag, 0x82]), length16(content.length), content]);

  const cases: Record<string, () => Buffer> = {
    'a byte after the end': () => Buffer.concat([good(), Buffer.from([0])]),
    'a second request after the end': () => Buffer.concat([good(), good()]),
    'a byte before the start': () => Buffer.concat([Buffer.from([0]), good()]),
    'a byte missing': () => good().subarray(0, -1),
    'a length longer than needed': () =>
      Buffer.concat([
        Buffer.from([0x30, 0x83, 0]),
        length16(contentOf(good()).length),
        contentOf(good()),
      ]),
    'an indefinite length': () =>
      Buffer.concat([Buffer.from([0x30, 0x80]), contentOf(good()), Buffer.from([0, 0])]),
    'a length of 4 GB': () =>
      Buffer.concat([Buffer.from([0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), contentOf(good())]),
    'a certificate': () => readBrokerCertificate(broker.dataDirectory, 'issuer').raw,
    'a public key': () =>
      createPublicKey(newKeyPair().privateKey).export({ format: 'der', type: 'spki' }),
    PEM: () => Buffer.from('-----BEGIN CERTIFICATE REQUEST-----\nMIH=\n'),
    zeros: () => Buffer.alloc(1000),
    'one byte': () => Buffer.from([0x30]),
    'SEQUENCEs 4000 deep': () => {
      let nested: Buffer = Buffer.alloc(0);
      for (let depth = 0; depth < 4000; depth++) nested = element(0x30, nested);
      return nested.subarray(-16_000);
    },
    'SETs as deep as fits': () => {
      let nested: Buffer = Buffer.alloc(0);
      while (nested.length < 16_000) nested = element(0x31, nested);
      return element(0x30, nested);
    },
    'a number of 16 KB': () => element(0x30, element(0x02, Buffer.alloc(16_000, 0x7f))),
    '8000 empty elements': () => element(0x30, Buffer.alloc(16_000)),
    '16 KiB of noise': () => Buffer.alloc(16 * 1024, 0xa5),
  };
  it.each(Object.entries(cases))('%s: refused, quickly', async (_, makeBytes) => {
    const pid = broker.server.workerdPid();
    if (pid === undefined) throw new Error('workerd runs');
    const bytes = makeBytes();
    const before = processorMs(pid);
    await expectRefused(bytes, 'csr_malformed');
    expect(processorMs(pid) - before).toBeLessThan(1000);
  });

  it.each<[string, string]>([
    ['nothing', ''],
    ['more than 16 KiB', 'A'.repeat(21_900)],
    ['padded base64url', 'MA=='],
    ['base64 of the other alphabet', 'MI/+'],
    ['bits after the last byte', 'MAB'],
    ['a line break', 'MAAA\n'],
  ])('%s: refused as a field', async (_, csr) => {
    await expectProblem(await submit(csr), 400, 'field_invalid', 'csr');
  });
});
