import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeTlsServerCertificate } from '../data-directory/make-certificates.ts';
import { ensureDataDirectory } from '../data-directory/open-data-directory.ts';
import { newP256Key } from '../data-directory/private-key.ts';
import { makeClientCertificate } from '../testing/make-client-certificate.ts';
import { ask, startTestFront } from '../testing/start-test-front.ts';
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
  const front = await startTestFront(
    (received, response) => response.end(received.headers['cf-blob']),
    { clientAuthorities: [ours.issuerCertificatePem, ours.rootCertificatePem] },
  );
  return { front, ours, foreign };
}

type KeyPair = { readonly cert: string; readonly key: string };

/** What the broker is told about a client with this certificate; twice, over a resumed session the second time. */
async function clientAuthSeen(port: number, pair: KeyPair | undefined): Promise<unknown[]> {
  const agent = new Agent({ ...pair, rejectUnauthorized: false, keepAlive: false });
  onTestFinished(() => agent.destroy());
  const seen: unknown[] = [];
  for (let count = 0; count < 2; count++) {
    const sent = request({
      host: '127.0.0.1',
      port,
      agent,
      headers: {
        'CF-Blob': '{"tlsClientAuth":{"certVerified":"SUCCESS"}}',
        'Client-Cert': ':AAAA:',
      },
    });
    sent.end();
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    const blob = JSON.parse((await answer.setEncoding('utf8').toArray()).join(''));
    expect(blob.clientIp).toBe('127.0.0.1');
    seen.push(blob.tlsClientAuth);
  }
  return seen;
}

const rfc9440 = (pem: string) => `:${new X509Certificate(pem).raw.toString('base64')}:`;
const current = { notBeforeMs: nowMs - dayMs, notAfterMs: nowMs + dayMs };

describe('what the broker is told about the client certificate', () => {
  it('is "none" without one, over TLS and over plain HTTP', async () => {
    const { front } = await frontWithAuthorities();
    const none = describeCertificate(undefined, undefined);
    expect(none).toMatchObject({ certPresented: '0', certVerified: 'NONE', certRFC9440: '' });
    expect(await clientAuthSeen(front.tlsPort, undefined)).toEqual([none, none]);
    const plain = await ask(front.httpPort, {
      headers: { 'CF-Blob': '{"tlsClientAuth":{"certPresented":"1"}}' },
    });
    expect(JSON.parse(plain.body)).toEqual({ clientIp: '127.0.0.1', tlsClientAuth: none });
  });

  it('is the certificate itself and SUCCESS for one of ours', async () => {
    const { front, ours } = await frontWithAuthorities();
    const pair = await makeClientCertificate(
      ours.issuerCertificatePem,
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
    expect(await clientAuthSeen(front.tlsPort, pair)).toEqual([expected, expected]);
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
      makeClientCertificate(from.issuerCertificatePem, from.privateKey('issuer'), validity);
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
      const seen = await clientAuthSeen(front.tlsPort, pair);
      expect(seen[0]).toMatchObject(expected);
      expect(seen[1]).toMatchObject(expected);
    }
  });
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
