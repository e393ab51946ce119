import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readSettings } from './settings.ts';

let folder: string;
let file: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sample-sso-'));
  file = join(folder, 'secret');
  writeFileSync(file, 'from-the-file\n');
});
afterAll(() => rmSync(folder, { recursive: true }));

const enough = {
  COUNTERSIGN_CLIENT_ID: 'sso',
  COUNTERSIGN_CLIENT_SECRET: 'secret',
  COUNTERSIGN_APPLICATION: 'mail',
};

describe('readSettings', () => {
  test('has defaults for all but the client and the application', () => {
    expect(readSettings({ ...enough, SAMPLE_SSO_TITLE: '' })).toEqual({
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
      SAMPLE_SSO_TLS_KEY_FILE: file,
      SAMPLE_SSO_TLS_CERT_FILE: file,
      SAMPLE_SSO_PORT: '20001',
    });
    expect(settings).toMatchObject({
      ok: true,
      value: {
        clientSecret: 'from-the-file',
        tls: { key: 'from-the-file\n', cert: 'from-the-file\n' },
        port: 20001,
      },
    });
  });

  test('TLS needs both files', () => {
    expect(readSettings({ ...enough, SAMPLE_SSO_TLS_CERT_FILE: file })).toMatchObject({
      setting: 'SAMPLE_SSO_TLS_KEY_FILE',
    });
    expect(readSettings({ ...enough, SAMPLE_SSO_TLS_KEY_FILE: file })).toMatchObject({
      setting: 'SAMPLE_SSO_TLS_CERT_FILE',
    });
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
    ['SAMPLE_SSO_TLS_KEY_FILE', { SAMPLE_SSO_TLS_KEY_FILE: '/nothing/here' }],
    ['SAMPLE_SSO_TLS_CERT_FILE', { SAMPLE_SSO_TLS_CERT_FILE: '/nothing/here' }],
  ])('names %s when it is wrong', (setting, change) => {
    const settings = readSettings({ ...enough, ...change });
    expect(settings).toMatchObject({ ok: false, setting });
  });
});
