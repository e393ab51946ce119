// Connections to the mTLS host name as OpenSSL sees them: who is asked for a certificate, and what outlives a handshake.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestClient } from '@countersign/testkit/broker-client';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keyPairOf } from '../support/mtls-client.ts';
import { enrollDevice, openTransaction } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
let client: TestClient;
let device: FakeDevice;
let folder: string;

beforeAll(async () => {
  broker = await TestBroker.start({ mtls: true });
  client = await broker.client.registerClient();
  device = await enrollDevice(broker);
  folder = mkdtempSync(join(tmpdir(), 'countersign-mtls-'));
  const pair = keyPairOf(device);
  writeFileSync(join(folder, 'device.pem'), `${pair.cert}${pair.key}`, { mode: 0o600 });
});
afterAll(async () => {
  await broker?.stopAndRemove();
  rmSync(folder, { recursive: true, force: true });
});

const certificateOptions = () => ['-cert', join(folder, 'device.pem')];

/** `openssl s_client`: sends `bytes` once connected and collects all that it prints until the server has closed. */
async function openssl(called: string, options: readonly string[], bytes = ''): Promise<string> {
  const address = ['-connect', `127.0.0.1:${broker.tlsPort}`, '-servername', called];
  const child = spawn('openssl', ['s_client', ...address, '-ign_eof', ...options], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const deadline = setTimeout(() => child.kill('SIGKILL'), 10_000);
  child.stdin.end(bytes);
  child.stderr.resume();
  const text = (await child.stdout.setEncoding('latin1').toArray()).join('');
  clearTimeout(deadline);
  return text;
}

const mtlsName = () => new URL(broker.mtlsUrl).hostname;

async function requestBytes(
  changes: { readonly connection?: string; readonly headers?: string } = {},
) {
  const { challenge } = await openTransaction(broker, client);
  const body = JSON.stringify({ challenge });
  return [
    'POST /v1/mtls-evidence HTTP/1.1',
    `Host: ${new URL(broker.mtlsUrl).host}`,
    `Origin: ${client.origin}`,
    'Content-Type: text/plain',
    `Content-Length: ${body.length}`,
    `Connection: ${changes.connection ?? 'close'}`,
    ...(changes.headers === undefined ? [] : [changes.headers]),
    '',
    body,
  ].join('\r\n');
}

const healthBytes = 'GET /healthz HTTP/1.1\r\nHost: broker.corp.test\r\nConnection: close\r\n\r\n';

describe('a certificate is asked for', () => {
  it('of those who call the mTLS host name, by the name of its issuer', async () => {
    const text = await openssl(mtlsName(), [], await requestBytes());
    expect(text).toContain('Acceptable client certificate CA names');
    expect(text).toMatch(/CN ?= ?MTLS Certificate Authority/);
    expect(text).toContain('mtls_certificate_missing');
  });

  it.each(['localhost', 'broker.corp.test', 'x.mtls.corp.test', 'mtls.corp.tes'])(
    'of nobody else: %s',
    async (called) => {
      const text = await openssl(called, certificateOptions(), healthBytes);
      expect(text).toContain('No client certificate CA names sent');
      expect(text).toContain('"status":"ok"');
    },
  );

  it('over TLS 1.3 alone, which hides it', async () => {
    const text = await openssl(mtlsName(), ['-tls1_2', ...certificateOptions()], healthBytes);
    expect(text).toContain('no peer certificate available');
    expect(text).not.toContain('HTTP/1.1');
  });
});

describe('#19 a session', () => {
  it('is not resumed: the second connection proves the key anew', async () => {
    const session = join(folder, 'session.pem');
    const first = await openssl(
      mtlsName(),
      [...certificateOptions(), '-sess_out', session],
      await requestBytes(),
    );
    expect(first).toContain('New, TLSv1.3');
    expect(first).toContain('"evidence"');
    expect(readFileSync(session, 'utf8')).toContain('SSL SESSION');
    const second = await openssl(mtlsName(), ['-sess_in', session], await requestBytes());
    expect(second).toContain('New, TLSv1.3');
    expect(second).not.toContain('Reused');
    expect(second).toContain('mtls_certificate_missing');
  });

  it('of the other names is nothing at this one', async () => {
    const session = join(folder, 'other.pem');
    await openssl('broker.corp.test', ['-sess_out', session], healthBytes);
    const text = await openssl(
      mtlsName(),
      ['-sess_in', session, ...certificateOptions()],
      await requestBytes(),
    );
    expect(text).toContain('New, TLSv1.3');
    expect(text).toContain('"evidence"');
  });
});

describe('#22 a connection with a certificate', () => {
  it('answers one request, however many are sent, and closes', async () => {
    const one = await requestBytes({ connection: 'keep-alive' });
    const other = await requestBytes({ connection: 'keep-alive' });
    const text = await openssl(mtlsName(), certificateOptions(), one + other + other);
    expect(text.match(/"evidence"/g)).toHaveLength(1);
    expect(text.match(/HTTP\/1\.1 200/g)).toHaveLength(1);
  });

  it.each([
    ['both framings', 'Transfer-Encoding: chunked'],
    ['a second length', 'Content-Length: 3'],
    ['a folded header', 'X-A: b\r\n Client-Cert: :AAAA:'],
    ['an upgrade to HTTP/2', 'Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__'],
  ])('is no way to smuggle a request: %s', async (_what, headers) => {
    const smuggled = await requestBytes();
    const text = await openssl(
      mtlsName(),
      certificateOptions(),
      (await requestBytes({ headers })) + smuggled,
    );
    expect((text.match(/"evidence"/g) ?? []).length).toBeLessThanOrEqual(1);
    expect((text.match(/HTTP\/1\.1 200/g) ?? []).length).toBeLessThanOrEqual(1);
    expect(text).not.toContain('101 Switching');
  });

  it('speaks nothing but HTTP/1.1, over which a browser keeps names apart', async () => {
    const text = await openssl(
      mtlsName(),
      ['-alpn', 'h2,http/1.1', ...certificateOptions()],
      await requestBytes(),
    );
    expect(text).toContain('ALPN protocol: http/1.1');
  });
});

describe('#24 early data', () => {
  it('is not taken', async () => {
    const session = join(folder, 'early.pem');
    const early = join(folder, 'early.bin');
    writeFileSync(early, await requestBytes());
    const first = await openssl(
      mtlsName(),
      [...certificateOptions(), '-sess_out', session],
      await requestBytes(),
    );
    expect(first).not.toMatch(/Max Early Data: [1-9]/);
    const text = await openssl(
      mtlsName(),
      ['-sess_in', session, '-early_data', early, ...certificateOptions()],
      await requestBytes(),
    );
    expect(text).not.toContain('Early data was accepted');
    expect((text.match(/"evidence"/g) ?? []).length).toBeLessThanOrEqual(1);
  });
});
