// #21: what the TLS front says about a client, in every form that is not exactly "this certificate, verified".
import { env, SELF } from 'cloudflare:test';
import { Buffer } from 'node:buffer';
import type { ProblemCode } from '@countersign/protocol';
import { problemDocument } from '@countersign/protocol/problem';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { beforeAll, describe, expect, it } from 'vitest';
import { broker } from './test-broker.ts';

let client: TestClient;
let certRFC9440: string;
/** As Cloudflare, or the front, describes a client with a certificate of ours. */
let verified: Readonly<Record<string, unknown>>;

beforeAll(async () => {
  client = await broker.registerClient();
  const device = await FakeDevice.create();
  await broker.enroll(device);
  certRFC9440 = `:${Buffer.from(device.certificate ?? []).toString('base64')}:`;
  verified = {
    certPresented: '1',
    certVerified: 'SUCCESS',
    certRevoked: '0',
    certIssuerDN: 'CN=MTLS Certificate Authority',
    certSubjectDN: 'CN=Countersign device',
    certSerial: '00',
    certFingerprintSHA256: '0'.repeat(64),
    certRFC9440,
    certRFC9440TooLarge: false,
  };
});

async function ask(cf: unknown): Promise<Response> {
  const challenge = await broker.challenge(client, randomText());
  return await SELF.fetch(`${env.MTLS_URL}/v1/mtls-evidence`, {
    method: 'POST',
    headers: { 'Content-Type': 'text/plain', Origin: client.origin },
    body: JSON.stringify({ challenge }),
    ...(cf === undefined ? {} : { cf: cf as IncomingRequestCfProperties }),
  });
}

async function expectRefused(cf: unknown, code: ProblemCode): Promise<void> {
  const answer = await ask(cf);
  const text = await answer.text();
  expect([answer.status, text], JSON.stringify(cf)).toEqual([403, expect.stringContaining(code)]);
  expect(problemDocument.parse(JSON.parse(text)).code).toBe(code);
}

const clientAuth = (changes: object) => ({ tlsClientAuth: { ...verified, ...changes } });

describe('#21 request.cf.tlsClientAuth', () => {
  it('with exactly the values of a verified certificate gets evidence', async () => {
    const answer = await ask({ tlsClientAuth: verified });
    expect([answer.status, await answer.json()]).toEqual([200, { evidence: expect.any(String) }]);
  });

  it.each([
    undefined,
    {},
    { tlsClientAuth: undefined },
    { tlsClientAuth: null },
    { tlsClientAuth: '1' },
    { tlsClientAuth: [] },
    { tlsClientAuth: {} },
    { tlsClientAuth: { certPresented: '0', certVerified: 'NONE', certRFC9440: '' } },
    { tlsclientauth: { certPresented: '1' } },
  ])('that says nothing of a certificate (%j) is none', async (cf) => {
    await expectRefused(cf, 'mtls_certificate_missing');
  });

  it.each(['0', 1, true, 'true', '', ' 1', '01', null])(
    'certPresented %j is none',
    async (value) => {
      await expectRefused(clientAuth({ certPresented: value }), 'mtls_certificate_missing');
    },
  );

  it.each([
    undefined,
    null,
    '',
    true,
    1,
    'NONE',
    'FAILED',
    'FAILED:self signed certificate',
    'FAILED:unable to verify the first certificate',
    'success',
    'SUCCESS ',
    'SUCCESS\n',
    'SUCCESSFUL',
    ['SUCCESS'],
    { toString: 'SUCCESS' },
  ])('certVerified %j is not verified', async (certVerified) => {
    await expectRefused(clientAuth({ certVerified }), 'mtls_certificate_not_verified');
  });

  it.each([
    ['FAILED:certificate has expired', 'mtls_certificate_expired'],
    ['FAILED:certificate is not yet valid', 'mtls_certificate_not_yet_valid'],
  ] as const)('certVerified %j is %s', async (certVerified, code) => {
    await expectRefused(clientAuth({ certVerified }), code);
  });

  it.each([undefined, null, '', '1', 0, false, 'no', 'unknown'])(
    'certRevoked %j is not verified',
    async (certRevoked) => {
      await expectRefused(clientAuth({ certRevoked }), 'mtls_certificate_not_verified');
    },
  );

  it('a certificate that was left out, or is not between colons, is not verified', async () => {
    const text = certRFC9440.slice(1, -1);
    for (const value of [
      undefined,
      null,
      '',
      '::',
      text,
      `:${text}`,
      `${text}:`,
      `;${text};`,
      `:${text}::`,
      `: ${text}:`,
      `:${text}\n:`,
      `:${text}:, :${text}:`,
      `:${text.replaceAll('+', '-').replaceAll('/', '_')}-:`,
      `:${'A'.repeat(10_240)}:`,
      [certRFC9440],
    ]) {
      await expectRefused(clientAuth({ certRFC9440: value }), 'mtls_certificate_not_verified');
    }
    for (const certRFC9440TooLarge of [true, 'false', undefined, null]) {
      await expectRefused(clientAuth({ certRFC9440TooLarge }), 'mtls_certificate_not_verified');
    }
  });

  it('a certificate that is another, or more than one, is not ours', async () => {
    const der = Buffer.from(certRFC9440.slice(1, -1), 'base64');
    const rfc9440 = (bytes: Uint8Array) => `:${Buffer.from(bytes).toString('base64')}:`;
    const changed = (offset: number) => {
      const bytes = Buffer.from(der);
      bytes[offset] = (bytes[offset] ?? 0) ^ 1;
      return bytes;
    };
    for (const bytes of [
      Buffer.concat([der, Buffer.from([0])]),
      Buffer.concat([der, der]),
      der.subarray(0, -1),
      Buffer.from([0x30, 0x00]),
      // In the signature, in the middle, and in the outermost length.
      changed(der.length - 1),
      changed(der.length >> 1),
      changed(2),
    ]) {
      await expectRefused(clientAuth({ certRFC9440: rfc9440(bytes) }), 'mtls_certificate_foreign');
    }
    // Another spelling of the same bytes: bits behind the end that base64 does not need.
    const text = certRFC9440.slice(1, -1);
    if (text.endsWith('=')) {
      const last = text.replace(/=+$/, '').slice(-1);
      const other = String.fromCharCode(last.charCodeAt(0) + 1);
      const respelled = certRFC9440.replace(new RegExp(`${last}(=+):$`), `${other}$1:`);
      await expectRefused(clientAuth({ certRFC9440: respelled }), 'mtls_certificate_foreign');
    }
  });
});
