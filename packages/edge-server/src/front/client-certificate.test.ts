import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { connect as connectPlain } from 'node:net';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeTlsServerCertificate } from '../data-directory/make-certificates.ts';
import { ensureDataDirectory } from '../data-directory/open-data-directory.ts';
import { newP256Key } from '../data-directory/private-key.ts';
import { makeClientCertificate } from '../testing/make-client-certificate.ts';
import { ask, startTestFront } from '../testing/start-test-front.ts';
import { freePort } from '../testing/start-test-server.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { describeCertificate } from './client-facts.ts';

const dayMs = 86_400_000;
const nowMs = Date.now();

async function frontWithAuthorities() {
  const settings = { brokerUrl: 'http://127.0.0.1:8780', nowMs: nowMs - 30 * dayMs };
  const [ours, foreign] = await Promise.all(
    ['ours', 'foreign'].map((name) =>
      ensureDataDirectory(join(temporaryDirectory(), name), settings),
    ),
  );
  if (ours === undefined || foreign === undefined) throw new Error('two folders');
  const tlsPort = await freePort();
  const front = await startTestFront(
    (received, response) => response.end(received.headers['cf-blob']),
    {
      tlsPort,
      mtlsUrl: `https://${mtlsName}:${tlsPort}`,
      clientAuthorities: [ours.certificatePem('issuer'), ours.rootCertificatePem],
    },
  );
  return { front, ours, foreign };
}

const mtlsName = 'mtls.corp.test';

type KeyPair = { readonly cert: string; readonly key: string };

/** What the broker is told about a client with this certificate, that calls `called` and asks `host`. */
async function clientAuthSeen(
  port: number,
  pair: KeyPair | undefined,
  { called = mtlsName, host = `${mtlsName}:${port}` } = {},
): Promise<unknown> {
  const agent = new Agent({ ...pair, rejectUnauthorized: false, servername: called });
  onTestFinished(() => agent.destroy());
  const sent = request({
    host: '127.0.0.1',
    port,
    agent,
    headers: {
      Host: host,
      'CF-Blob': '{"tlsClientAuth":{"certVerified":"SUCCESS"}}',
      'Client-Cert': ':AAAA:',
    },
  });
  sent.end();
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  const blob = JSON.parse((await answer.setEncoding('utf8').toArray()).join(''));
  expect(blob.clientIp).toBe('127.0.0.1');
  return blob.tlsClientAuth;
}

const rfc9440 = (pem: string) => `:${new X509Certificate(pem).raw.toString('base64')}:`;
const current = { notBeforeMs: nowMs - dayMs, notAfterMs: nowMs + dayMs };

describe('what the broker is told about the client certificate', () => {
  it('is "none" without one, over TLS and over plain HTTP', async () => {
    const { front } = await frontWithAuthorities();
    const none = describeCertificate(undefined, undefined);
    expect(none).toMatchObject({ certPresented: '0', certVerified: 'NONE', certRFC9440: '' });
    expect(await clientAuthSeen(front.tlsPort, undefined)).toEqual(none);
    const plain = await ask(front.httpPort, {
      headers: { 'CF-Blob': '{"tlsClientAuth":{"certPresented":"1"}}' },
    });
    expect(JSON.parse(plain.body)).toEqual({ clientIp: '127.0.0.1', tlsClientAuth: none });
  });

  it('is the certificate itself and SUCCESS for one of ours', async () => {
    const { front, ours } = await frontWithAuthorities();
    const pair = await makeClientCertificate(
      ours.certificatePem('issuer'),
      ours.privateKey('issuer'),
      current,
    );
    const certificate = new X509Certificate(pair.cert);
    const expected = {
      certPresented: '1',
      certVerified: 'SUCCESS',
      certRevoked: '0',
      certSerial: certificate.serialNumber,
      certFingerprintSHA1: certificate.fingerprint.replaceAll(':', '').toLowerCase(),
      certFingerprintSHA256: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
      certNotBefore: certificate.validFrom,
      certNotAfter: certificate.validTo,
      certRFC9440: rfc9440(pair.cert),
      certRFC9440TooLarge: false,
    };
    expect(await clientAuthSeen(front.tlsPort, pair)).toEqual(expected);
  });

  it('is "none" for a client that called another name, or asks for another host', async () => {
    const { front, ours } = await frontWithAuthorities();
    const { tlsPort } = front;
    const none = describeCertificate(undefined, undefined);
    const pair = await makeClientCertificate(
      ours.certificatePem('issuer'),
      ours.privateKey('issuer'),
      current,
    );
    const host = `${mtlsName}:${tlsPort}`;
    for (const address of [
      { called: 'broker.corp.test', host },
      { called: '', host },
      { called: 'x.mtls.corp.test', host },
      { host: 'broker.corp.test' },
      { host: mtlsName },
      { host: `${mtlsName}:443` },
      { host: `x.${host}` },
    ]) {
      expect(await clientAuthSeen(tlsPort, pair, address), JSON.stringify(address)).toEqual(none);
    }
    const seen = await clientAuthSeen(tlsPort, pair, {
      called: 'MTLS.corp.test',
      host: `MTLS.Corp.Test:${tlsPort}`,
    });
    expect(seen).toMatchObject({ certVerified: 'SUCCESS' });
  });

  it('says why another one is not verified, and still passes its bytes on', async () => {
    const { front, ours, foreign } = await frontWithAuthorities();
    const { privateKey, pem } = newP256Key();
    const selfSigned = {
      cert: await makeTlsServerCertificate(
        privateKey,
        { dnsNames: ['localhost'], ipAddresses: [] },
        nowMs,
      ),
      key: pem,
    };
    const issue = (from: typeof ours, validity: typeof current) =>
      makeClientCertificate(from.certificatePem('issuer'), from.privateKey('issuer'), validity);
    const expired = { notBeforeMs: nowMs - 3 * dayMs, notAfterMs: nowMs - dayMs };
    const future = { notBeforeMs: nowMs + dayMs, notAfterMs: nowMs + 3 * dayMs };
    const cases: Array<[KeyPair, string]> = [
      [selfSigned, 'FAILED'],
      // Another authority with the same names: only its key tells the difference.
      [await issue(foreign, current), 'FAILED:unable to verify the first certificate'],
      [await issue(ours, expired), 'FAILED:certificate has expired'],
      [await issue(ours, future), 'FAILED:certificate is not yet valid'],
    ];
    for (const [pair, certVerified] of cases) {
      const expected = { certPresented: '1', certVerified, certRFC9440: rfc9440(pair.cert) };
      expect(await clientAuthSeen(front.tlsPort, pair)).toMatchObject(expected);
    }
  });
});

/** A connection as the mTLS name's client, over TLS 1.3 unless told otherwise. */
async function connectMtls(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({
    host: '127.0.0.1',
    port,
    servername: mtlsName,
    rejectUnauthorized: false,
    ...options,
  });
  onTestFinished(() => void socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

describe('a connection to the mTLS name', () => {
  it('serves one request, whatever is sent with it', async () => {
    const { front } = await frontWithAuthorities();
    const socket = await connectMtls(front.tlsPort);
    const one = `GET / HTTP/1.1\r\nHost: ${mtlsName}:${front.tlsPort}\r\n\r\n`;
    socket.write(one + one + one);
    const text = (await socket.setEncoding('utf8').toArray()).join('');
    const [first, ...others] = text.match(/HTTP\/1\.1 \d+/g) ?? [];
    expect(first).toBe('HTTP/1.1 200');
    expect(others.filter((status) => !status.endsWith('503'))).toEqual([]);
    expect(text.match(/certVerified/g)).toHaveLength(1);
  });

  it('is not made by resuming an earlier one', async () => {
    const { front } = await frontWithAuthorities();
    const first = await connectMtls(front.tlsPort);
    const sessions: Buffer[] = [];
    first.on('session', (session: Buffer) => sessions.push(session));
    first.write(`GET / HTTP/1.1\r\nHost: ${mtlsName}:${front.tlsPort}\r\n\r\n`);
    await first.toArray();
    expect(sessions.length).toBeGreaterThan(0);
    for (const session of sessions) {
      const second = await connectMtls(front.tlsPort, { session });
      expect(second.isSessionReused()).toBe(false);
    }
  });

  it('is of TLS 1.3, which hides the certificate', async () => {
    const { front } = await frontWithAuthorities();
    const older = { maxVersion: 'TLSv1.2' } as const;
    await expect(connectMtls(front.tlsPort, older)).rejects.toThrow(/protocol version/);
    const ordinary = await connectMtls(front.tlsPort, { ...older, servername: 'broker.test' });
    expect(ordinary.getProtocol()).toBe('TLSv1.2');
  });

  it('is closed when its client dawdles, before TLS and after it', async () => {
    const timeouts = { handshakeMs: 3_000, headersMs: 200, requestMs: 200, idleMs: 200 };
    const front = await startTestFront((_request, response) => response.end(), {
      mtlsUrl: `https://${mtlsName}`,
      timeouts,
    });
    const silent = connectPlain(front.tlsPort, '127.0.0.1');
    const half = connectPlain(front.tlsPort, '127.0.0.1');
    half.write(Buffer.from([22, 3, 1, 2, 0, 1]));
    const shaken = await connectMtls(front.tlsPort);
    shaken.write('GET / HTTP/1.1\r\n');
    for (const socket of [silent, half, shaken]) {
      socket.on('error', () => undefined);
      if (!socket.closed) await once(socket.resume(), 'close');
    }
  });
});

it('ends at once when the front is stopped, however far its connections have come', async () => {
  const { front } = await frontWithAuthorities();
  const silent = connectPlain(front.tlsPort, '127.0.0.1');
  silent.on('error', () => undefined);
  await once(silent, 'connect');
  await connectMtls(front.tlsPort);
  const began = performance.now();
  await front.stop(50);
  expect(performance.now() - began).toBeLessThan(8_000);
});

it("says a failure in Cloudflare's words where there are any", async () => {
  const names = { dnsNames: ['localhost'], ipAddresses: [] };
  const pem = await makeTlsServerCertificate(newP256Key().privateKey, names, nowMs);
  const certificate = new X509Certificate(pem);
  const words = (error: string) => describeCertificate(certificate, error).certVerified;
  expect(words('DEPTH_ZERO_SELF_SIGNED_CERT')).toBe('FAILED:self signed certificate');
  expect(words('UNABLE_TO_VERIFY_LEAF_SIGNATURE')).toBe(
    'FAILED:unable to verify the first certificate',
  );
  expect(words('CERT_SIGNATURE_FAILURE')).toBe('FAILED');
});

it('leaves a certificate out that is too large for a header, and says so', async () => {
  const label = 'a'.repeat(60);
  const dnsNames = Array.from({ length: 50 }, (_, index) => `${label}.${label}.${label}.n${index}`);
  const names = { dnsNames, ipAddresses: [] };
  const large = await makeTlsServerCertificate(newP256Key().privateKey, names, nowMs);
  expect(describeCertificate(new X509Certificate(large), 'CERT_UNTRUSTED')).toMatchObject({
    certPresented: '1',
    certVerified: 'FAILED',
    certRFC9440: '',
    certRFC9440TooLarge: true,
  });
});
