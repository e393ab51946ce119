// HAProxy as the TLS front, with the configuration that the documentation gives.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import type { TestClient } from '@countersign/testkit/broker-client';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readBrokerCertificate, readBrokerKey } from '../support/broker-keys.ts';
import { expectDenied, expectTrusted } from '../support/expect-answer.ts';
import { type ForgedIssuer, issueLookAlike, parsed } from '../support/forge-certificate.ts';
import {
  haproxyNames,
  makeHaproxyFolder,
  type RunningHaproxy,
  startHaproxy,
} from '../support/haproxy.ts';
import {
  askMtls,
  bothKinds,
  clientCertOf,
  evidenceIn,
  keyPairOf,
  type MtlsAnswer,
  type MtlsRequest,
  onlyMtls,
  tlsAgent,
} from '../support/mtls-client.ts';
import {
  certificateOf,
  enrollDevice,
  evaluateWith,
  openTransaction,
} from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
let client: TestClient;
let device: FakeDevice;
let haproxy: RunningHaproxy;
let folder: string;
let frontSocket: string;

/** HAProxy as somebody might run it who does not read: with session tickets and a session cache. */
const resumingSessions = (configuration: string) => {
  const changed = configuration
    .replace('tune.ssl.cachesize 0', 'tune.ssl.cachesize 1000')
    .replace(' no-tls-tickets', '');
  expect(changed.length).toBeLessThan(configuration.length);
  return changed;
};

beforeAll(async () => {
  folder = makeHaproxyFolder();
  frontSocket = join(folder, 'front.sock');
  const mtlsUrl = `https://${haproxyNames.mtls}`;
  broker = await TestBroker.start({ front: { socket: frontSocket, mtlsUrl } });
  client = await broker.client.registerClient();
  device = await enrollDevice(broker);
  haproxy = await startHaproxy(folder, { frontSocket, issuerPem: issuerPem() });
});
afterAll(async () => {
  await haproxy?.stop();
  await broker?.stopAndRemove();
});

const issuerPem = () => readBrokerCertificate(broker.dataDirectory, 'issuer').toString();

/** One request through HAProxy; one that would get evidence if nothing were changed. */
const ask = async (changes: MtlsRequest = {}) =>
  askMtls(broker, {
    port: haproxy.port,
    pair: keyPairOf(device),
    challenge: (await openTransaction(broker, client)).challenge,
    origin: client.origin,
    ...changes,
  });

const codeOf = ({ body }: MtlsAnswer) => String(Object(JSON.parse(body)).code);

describe('through HAProxy', () => {
  it('a sign-in by mTLS, and by both, is trusted', async () => {
    const byMtls = await evaluateWith(broker, client, async (challenge) =>
      onlyMtls(challenge, evidenceIn(await ask({ challenge }))),
    );
    expectTrusted(byMtls);
    const byBoth = await evaluateWith(broker, client, async (challenge) =>
      bothKinds(
        challenge,
        await device.respond(challenge, client.origin),
        evidenceIn(await ask({ challenge })),
      ),
    );
    expectTrusted(byBoth);
  });

  it("the broker's other addresses are reached by their own name", async () => {
    const answer = await ask({
      called: haproxyNames.broker,
      host: haproxyNames.broker,
      method: 'GET',
      path: '/healthz',
    });
    expect([answer.status, JSON.parse(answer.body)]).toEqual([
      200,
      expect.objectContaining({ status: 'ok' }),
    ]);
  });

  it('a client without a certificate is told so', async () => {
    const answer = await ask({ pair: undefined });
    expect([answer.status, codeOf(answer)]).toEqual([403, 'mtls_certificate_missing']);
  });

  it('#20 a certificate that is not ours, or has expired, is refused with a reason', async () => {
    const now = Date.now();
    const issuer = {
      certificate: parsed(readBrokerCertificate(broker.dataDirectory, 'issuer').raw),
      privateKey: readBrokerKey(broker.dataDirectory, 'issuer'),
    };
    const expired = await issueLookAlike(parsed(device.certificate), issuer, {
      notBeforeMs: now - 3 * 86_400_000,
      notAfterMs: now - 86_400_000,
    });
    const webServer = readFileSync(join(folder, 'mtls.pem'), 'utf8');
    for (const [pair, code] of [
      [keyPairOf(device, expired), 'mtls_certificate_expired'],
      [{ key: webServer, cert: webServer }, 'mtls_certificate_not_verified'],
    ] as const) {
      const answer = await ask({ pair });
      expect([answer.status, codeOf(answer)]).toEqual([403, code]);
    }
  });

  it('#23 names that differ in TLS and HTTP are refused by HAProxy', async () => {
    const { broker: plain, mtls } = haproxyNames;
    for (const [called, host] of [
      [mtls, plain],
      [plain, mtls],
      [plain, `${mtls}:443`],
      [mtls, 'other.example.com'],
    ]) {
      const answer = await ask({ called: called ?? '', host: host ?? '' });
      expect(answer.status, `${called} ${host}`).toBe(421);
    }
  });

  it('#18 what a client says about its certificate changes nothing', async () => {
    const other = await enrollDevice(broker);
    const value = clientCertOf(keyPairOf(other));
    const blob = JSON.stringify({
      tlsClientAuth: {
        certPresented: '1',
        certVerified: 'SUCCESS',
        certRevoked: '0',
        certRFC9440: value,
        certRFC9440TooLarge: false,
      },
    });
    const forged: Record<string, string>[] = [
      { 'Client-Cert': value },
      { 'client-cert': value },
      { 'CLIENT-CERT': value },
      { Client_Cert: value },
      { client_cert: value },
      { 'Client-Cert-Chain': value },
      { 'CF-Blob': blob },
      { 'MF-CF-Blob': blob },
      { 'X-SSL-Client-Cert': value, 'X-SSL-Client-Verify': 'SUCCESS' },
      { 'X-Forwarded-Client-Cert': `Cert="${encodeURIComponent(value)}"` },
      { Connection: 'close, Client-Cert' },
    ];
    for (const headers of forged) {
      const without = await ask({ pair: undefined, headers });
      expect([without.status, codeOf(without)], JSON.stringify(headers)).toEqual([
        403,
        'mtls_certificate_missing',
      ]);
      // Beside a certificate of one's own it is still one's own that counts.
      const answer = await evaluateWith(broker, client, async (challenge) =>
        onlyMtls(challenge, evidenceIn(await ask({ challenge, headers }))),
      );
      expectTrusted(answer);
    }
    expect((await certificateOf(broker, other)).bound_user).toBeUndefined();
  });

  it('#18 the public ports go on believing nobody, and ask nobody', async () => {
    const value = clientCertOf(keyPairOf(device));
    const host = haproxyNames.mtls;
    const { challenge } = await openTransaction(broker, client);
    const direct = await ask({
      port: broker.tlsPort,
      headers: { 'Client-Cert': value },
      pair: undefined,
    });
    expect([direct.status, codeOf(direct)]).toEqual([403, 'mtls_certificate_missing']);
    for (const proto of ['http', 'https']) {
      const plain = await new Promise<string>((resolve, reject) => {
        const sent = request(
          {
            host: '127.0.0.1',
            port: broker.httpPort,
            method: 'POST',
            path: '/v1/mtls-evidence',
            headers: {
              Host: host,
              Origin: client.origin,
              'Content-Type': 'text/plain',
              'Client-Cert': value,
              'X-Forwarded-Proto': proto,
            },
          },
          (answer) => {
            answer
              .setEncoding('utf8')
              .toArray()
              .then((parts) => resolve(parts.join('')), reject);
          },
        );
        sent.on('error', reject);
        sent.end(JSON.stringify({ challenge }));
      });
      expect(plain).toContain('mtls_wrong_host');
    }
  });
});

describe('#22 a request hidden in another one', () => {
  /** All that comes back on a connection of a client without a certificate that calls the broker's own name. */
  const exchange = async (bytes: string) => {
    const socket = connectTls({
      host: '127.0.0.1',
      port: haproxy.port,
      servername: haproxyNames.broker,
      rejectUnauthorized: false,
    });
    socket.on('error', () => undefined);
    const deadline = setTimeout(() => socket.destroy(), 600);
    let text = '';
    socket.setEncoding('latin1').on('data', (part) => {
      text += String(part);
    });
    socket.write(bytes, 'latin1');
    if (!socket.closed) await once(socket, 'close');
    clearTimeout(deadline);
    return text;
  };

  it('with a certificate that the front did not see gets nothing, and spoils nobody else', async () => {
    const { challenge } = await openTransaction(broker, client);
    const body = JSON.stringify({ challenge });
    const hidden = [
      'POST /v1/mtls-evidence HTTP/1.1',
      `Host: ${haproxyNames.mtls}`,
      `Origin: ${client.origin}`,
      'Content-Type: text/plain',
      `Client-Cert: ${clientCertOf(keyPairOf(device))}`,
      `Content-Length: ${body.length}`,
      '',
      body,
    ].join('\r\n');
    const chunk = `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`;
    const outer = (...lines: string[]) =>
      [`POST /v1/challenges HTTP/1.1`, `Host: ${haproxyNames.broker}`, ...lines, '', ''].join(
        '\r\n',
      );
    const attempts = [
      `${outer('Content-Length: 5', 'Transfer-Encoding: chunked')}0\r\n\r\n${hidden}`,
      outer(`Content-Length: ${chunk.length}`, 'Transfer-Encoding: chunked') + chunk + hidden,
      `${outer('Transfer-Encoding: chunked', 'Transfer-Encoding: identity')}0\r\n\r\n${hidden}`,
      `${outer('Transfer-Encoding: xchunked', `Content-Length: 5`)}0\r\n\r\n${hidden}`,
      `${outer('Transfer-Encoding : chunked', 'Content-Length: 5')}0\r\n\r\n${hidden}`,
      `${outer('Transfer-Encoding: \vchunked', 'Content-Length: 5')}0\r\n\r\n${hidden}`,
      `${outer('Transfer-Encoding:\tchunked', 'Content-Length: 5')}0\r\n\r\n${hidden}`,
      `${outer('Transfer-Encoding: chunked')}0;x=\n\r\n\r\n${hidden}`,
      `${outer('Transfer-Encoding: chunked')}0\n\n${hidden}`,
      `${outer('Transfer-Encoding: chunked')}00000000000000000000\r\n\r\n${hidden}`,
      outer('Content-Length: 0', `Content-Length: ${hidden.length}`) + hidden,
      outer('Content-Length: +0') + hidden,
      outer('Content-Length: 0x0') + hidden,
      outer('Content-Length: 0, 0') + hidden,
      outer('Content-Length: 0', 'Connection: Content-Length') + hidden,
      outer('Content-Length: 0', 'Upgrade: websocket', 'Connection: Upgrade') + hidden,
      outer('Content-Length: 0', 'Expect: 100-continue') + hidden,
      `GET /healthz HTTP/1.1\r\nHost: ${haproxyNames.broker}\r\nX: a\rX: b\r\n\r\n${hidden}`,
      `GET /healthz HTTP/1.1\nHost: ${haproxyNames.broker}\n\n${hidden}`,
      `GET /healthz\r\n${hidden}`,
    ];
    for (const attempt of attempts) {
      const text = await exchange(attempt);
      expect(text, JSON.stringify(attempt.slice(0, 200))).not.toContain('"evidence"');
      // Whoever comes next over the same connection to the broker gets his own answer.
      const next = await ask({
        called: haproxyNames.broker,
        host: haproxyNames.broker,
        method: 'GET',
        path: '/healthz',
        pair: undefined,
      });
      expect([next.status, next.body]).toEqual([200, expect.stringContaining('"status":"ok"')]);
    }
  });
});

/** `openssl s_client` through HAProxy, with the session of an earlier connection or keeping one. */
async function openssl(port: number, options: readonly string[], bytes: string): Promise<string> {
  const child = spawn(
    'openssl',
    [
      's_client',
      '-connect',
      `127.0.0.1:${port}`,
      '-servername',
      haproxyNames.mtls,
      '-ign_eof',
      ...options,
    ],
    { stdio: ['pipe', 'pipe', 'ignore'] },
  );
  const deadline = setTimeout(() => child.kill('SIGKILL'), 10_000);
  child.stdin.end(bytes);
  const text = (await child.stdout.setEncoding('latin1').toArray()).join('');
  clearTimeout(deadline);
  return text;
}

async function requestBytes(): Promise<string> {
  const { challenge } = await openTransaction(broker, client);
  const body = JSON.stringify({ challenge });
  return `POST /v1/mtls-evidence HTTP/1.1\r\nHost: ${haproxyNames.mtls}\r\nOrigin: ${client.origin}\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
}

const evidenceInText = (text: string) => /"evidence":"([\w.-]+)"/.exec(text)?.[1];

describe('#19 a session or connection that outlives its certificate', () => {
  let resuming: RunningHaproxy;
  let issuer: ForgedIssuer;

  beforeAll(async () => {
    resuming = await startHaproxy(makeHaproxyFolder(), {
      frontSocket,
      issuerPem: issuerPem(),
      change: resumingSessions,
    });
    issuer = {
      certificate: parsed(readBrokerCertificate(broker.dataDirectory, 'issuer').raw),
      privateKey: readBrokerKey(broker.dataDirectory, 'issuer'),
    };
  });
  afterAll(() => resuming?.stop());

  /** A new device, the files of its certificate, and a session that was made with it. */
  async function openSession(certificate?: (own: FakeDevice) => Promise<Uint8Array>) {
    const own = await enrollDevice(broker);
    const pair = keyPairOf(own, await certificate?.(own));
    const name = join(folder, own.deviceId ?? '');
    writeFileSync(`${name}.pem`, `${pair.cert}${pair.key}`, { mode: 0o600 });
    const options = ['-cert', `${name}.pem`, '-sess_out', `${name}.session`];
    const text = await openssl(resuming.port, options, await requestBytes());
    expect(evidenceInText(text)).toBeDefined();
    return { own, pair, session: `${name}.session` };
  }

  it('is not resumed as documented, with a session of the same HAProxy', async () => {
    const name = join(folder, 'first');
    const pair = keyPairOf(device);
    writeFileSync(`${name}.pem`, `${pair.cert}${pair.key}`, { mode: 0o600 });
    const options = ['-cert', `${name}.pem`, '-sess_out', `${name}.session`];
    expect(await openssl(haproxy.port, options, await requestBytes())).toContain('New, TLSv1.3');
    const again = await openssl(
      haproxy.port,
      ['-sess_in', `${name}.session`],
      await requestBytes(),
    );
    expect(again).toContain('New, TLSv1.3');
    expect(again).toContain('mtls_certificate_missing');
  });

  it('is denied after a revocation, though TLS resumes it', async () => {
    const { own, session } = await openSession();
    const byResumedSession = () =>
      evaluateWith(broker, client, async (challenge) => {
        const body = JSON.stringify({ challenge });
        const bytes = `POST /v1/mtls-evidence HTTP/1.1\r\nHost: ${haproxyNames.mtls}\r\nOrigin: ${client.origin}\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
        const text = await openssl(resuming.port, ['-sess_in', session], bytes);
        expect(text).toContain('Reused, TLSv1.3');
        return onlyMtls(challenge, evidenceInText(text) ?? '');
      });
    expectTrusted(await byResumedSession());
    const { fingerprint_sha256 } = await certificateOf(broker, own);
    await broker.client.revoke(own.deviceId ?? '', fingerprint_sha256);
    expectDenied(await byResumedSession(), 'certificate_revoked');
  });

  it('gets no evidence after expiry, though TLS resumes it', async () => {
    const expiresAtMs = Math.ceil(Date.now() / 1000) * 1000 + 3_000;
    const { session } = await openSession((own) =>
      issueLookAlike(parsed(own.certificate), issuer, {
        notBeforeMs: Date.now() - 60_000,
        notAfterMs: expiresAtMs,
      }),
    );
    await sleep(expiresAtMs + 1_200 - Date.now());
    const text = await openssl(resuming.port, ['-sess_in', session], await requestBytes());
    expect(text).toContain('Reused, TLSv1.3');
    expect(text).toContain('mtls_certificate_expired');
    expect(text).not.toContain('"evidence"');
  });

  it('gets no evidence on a connection that was kept open meanwhile', async () => {
    const own = await enrollDevice(broker);
    const { fingerprint_sha256 } = await certificateOf(broker, own);
    const agent = tlsAgent({ ...keyPairOf(own), keepAlive: true, maxSockets: 1 });
    try {
      const connections = new Set<unknown>();
      agent.on('free', (socket) => connections.add(socket));
      const byKeptConnection = () =>
        evaluateWith(broker, client, async (challenge) =>
          onlyMtls(challenge, evidenceIn(await ask({ challenge, agent, port: resuming.port }))),
        );
      expectTrusted(await byKeptConnection());
      await broker.client.revoke(own.deviceId ?? '', fingerprint_sha256);
      expectDenied(await byKeptConnection(), 'certificate_revoked');
      expect(connections.size).toBe(1);
    } finally {
      agent.destroy();
    }
  });
});
