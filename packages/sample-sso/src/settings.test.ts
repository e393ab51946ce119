import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeAuthorities, makeTestKey } from '@countersign/testkit/fake-authorities';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readSettings } from './settings.ts';

let folder: string;
let file: string;
let keyFile: string;
let certFile: string;
let otherKeyFile: string;

function write(name: string, text: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sample-sso-'));
  const { root } = await makeAuthorities(Date.now());
  const pkcs8 = { type: 'pkcs8', format: 'pem' } as const;
  file = write('secret', 'from-the-file\n');
  keyFile = write('key.pem', root.privateKey.export(pkcs8));
  certFile = write('cert.pem', new X509Certificate(root.certificate.der).toString());
  otherKeyFile = write('other.pem', makeTestKey().privateKey.export(pkcs8));
});
afterAll(() => rmSync(folder, { recursive: true }));

const enough = {
  COUNTERSIGN_CLIENT_ID: 'sso',
  COUNTERSIGN_CLIENT_SECRET: 'secret',
  COUNTERSIGN_APPLICATION: 'mail',
};

describe('readSettings', () => {
  test('has defaults for all but the client and the application', () => {
    expect(
      readSettings({ ...enough, SAMPLE_SSO_TITLE: '', SAMPLE_SSO_FAIL_OPEN_FILE: '' }),
    ).toEqual({
      ok: true,
      value: {
        port: 8790,
        host: '127.0.0.1',
        brokerUrl: 'http://127.0.0.1:8780',
        clientId: 'sso',
        clientSecret: 'secret',
        application: 'mail',
      },
    });
  });

  test('reads the secret, the key and the certificate from files', () => {
    const settings = readSettings({
      ...enough,
      COUNTERSIGN_CLIENT_SECRET_FILE: file,
      SAMPLE_SSO_TLS_KEY_FILE: keyFile,
      SAMPLE_SSO_TLS_CERT_FILE: certFile,
      SAMPLE_SSO_PORT: '20001',
    });
    expect(settings).toMatchObject({
      ok: true,
      value: {
        clientSecret: 'from-the-file',
        tls: {
          key: expect.stringContaining('PRIVATE KEY'),
          cert: expect.stringContaining('BEGIN CERTIFICATE'),
        },
        port: 20001,
      },
    });
  });

  test('TLS needs a key and its certificate', () => {
    const read = (key: string | undefined, cert: string | undefined) =>
      readSettings({
        ...enough,
        SAMPLE_SSO_TLS_KEY_FILE: key,
        SAMPLE_SSO_TLS_CERT_FILE: cert,
      });
    const wrongKey = { ok: false, setting: 'SAMPLE_SSO_TLS_KEY_FILE' };
    const wrongCert = { ok: false, setting: 'SAMPLE_SSO_TLS_CERT_FILE' };
    expect(read(undefined, certFile)).toMatchObject(wrongKey);
    expect(read('/nothing/here', certFile)).toMatchObject(wrongKey);
    expect(read(certFile, certFile)).toMatchObject(wrongKey);
    expect(read(otherKeyFile, certFile)).toMatchObject(wrongKey);
    expect(read(keyFile, undefined)).toMatchObject(wrongCert);
    expect(read(keyFile, '/nothing/here')).toMatchObject(wrongCert);
    expect(read(keyFile, keyFile)).toMatchObject(wrongCert);
  });

  test.each([
    ['COUNTERSIGN_CLIENT_ID', { COUNTERSIGN_CLIENT_ID: undefined }],
    ['COUNTERSIGN_APPLICATION', { COUNTERSIGN_APPLICATION: '' }],
    ['COUNTERSIGN_CLIENT_SECRET', { COUNTERSIGN_CLIENT_SECRET: '' }],
    ['COUNTERSIGN_CLIENT_SECRET_FILE', { COUNTERSIGN_CLIENT_SECRET_FILE: '/nothing/here' }],
    ['SAMPLE_SSO_PORT', { SAMPLE_SSO_PORT: '80 80' }],
    ['SAMPLE_SSO_PORT', { SAMPLE_SSO_PORT: '65536' }],
    ['SAMPLE_SSO_PORT', { SAMPLE_SSO_PORT: '-1' }],
    ['SAMPLE_SSO_TITLE', { SAMPLE_SSO_TITLE: 'x'.repeat(129) }],
  ])('names %s when it is wrong', (setting, change) => {
    const settings = readSettings({ ...enough, ...change });
    expect(settings).toMatchObject({ ok: false, setting });
  });
});
