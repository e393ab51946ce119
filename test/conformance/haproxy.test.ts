// HAProxy as the TLS front, with the configuration that the documentation gives.
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import type { TestClient } from '@countersign/testkit/broker-client';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readBrokerCertificate, readBrokerKey } from '../support/broker-keys.ts';
import { expectTrusted } from '../support/expect-answer.ts';
import { issueLookAlike, parsed } from '../support/forge-certificate.ts';
import { type BehindHaproxy, haproxyNames, startBehindHaproxy } from '../support/haproxy.ts';
import {
  bothKinds,
  clientCertOf,
  evidenceIn,
  keyPairOf,
  type MtlsAnswer,
  onlyMtls,
} from '../support/mtls-client.ts';
import { runServerCommand } from '../support/server-command.ts';
import {
  certificateOf,
  enrollDevice,
  evaluateWith,
  openTransaction,
} from '../support/sign-in-attempt.ts';
import type { TestBroker } from '../support/test-broker.ts';

let behind: BehindHaproxy;
let broker: TestBroker;
let client: TestClient;
let device: FakeDevice;
let folder: string;
let ask: BehindHaproxy['ask'];

beforeAll(async () => {
  behind = await startBehindHaproxy();
  ({ broker, client, device, folder, ask } = behind);
});
afterAll(() => behind?.stop());

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

  it('a device of a second issuer gets evidence, as one of the first goes on to', async () => {
    const command = (...args: readonly string[]) =>
      runServerCommand('issuer', ...args, '--data', broker.dataDirectory);
    for (const step of ['new', 'activate']) expect((await command(step)).code).toBe(0);
    const young = await enrollDevice(broker);
    const second = readBrokerCertificate(broker.dataDirectory, 'issuer-2');
    expect(new X509Certificate(young.certificate ?? '').verify(second.publicKey)).toBe(true);
    for (const each of [young, device]) {
      const answer = await ask({ pair: keyPairOf(each) });
      expect([answer.status, answer.body]).toEqual([200, expect.stringContaining('evidence')]);
    }
  });
});
