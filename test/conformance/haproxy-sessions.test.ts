// TLS sessions and connections to HAProxy that are older than what has become of their certificate.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestClient } from '@countersign/testkit/broker-client';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readBrokerCertificate, readBrokerKey } from '../support/broker-keys.ts';
import { expectDenied, expectTrusted } from '../support/expect-answer.ts';
import { type ForgedIssuer, issueLookAlike, parsed } from '../support/forge-certificate.ts';
import {
  type BehindHaproxy,
  haproxyNames,
  makeHaproxyFolder,
  type RunningHaproxy,
  startBehindHaproxy,
  startHaproxy,
} from '../support/haproxy.ts';
import { evidenceIn, keyPairOf, onlyMtls, tlsAgent } from '../support/mtls-client.ts';
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
let haproxy: RunningHaproxy;
let folder: string;
let frontSocket: string;
let issuerPem: string;
let ask: BehindHaproxy['ask'];

beforeAll(async () => {
  behind = await startBehindHaproxy();
  ({ broker, client, device, haproxy, folder, frontSocket, issuerPem, ask } = behind);
});
afterAll(() => behind?.stop());

/** HAProxy as somebody might run it who does not read: with session tickets and a session cache. */
const resumingSessions = (configuration: string) => {
  const changed = configuration
    .replace('tune.ssl.cachesize 0', 'tune.ssl.cachesize 1000')
    .replace(' no-tls-tickets', '');
  expect(changed.length).toBeLessThan(configuration.length);
  return changed;
};

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
      issuerPem,
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
    const bytes = await requestBytes();
    const pair = keyPairOf(own, await certificate?.(own));
    const name = join(folder, own.deviceId ?? '');
    writeFileSync(`${name}.pem`, `${pair.cert}${pair.key}`, { mode: 0o600 });
    const options = ['-cert', `${name}.pem`, '-sess_out', `${name}.session`];
    const text = await openssl(resuming.port, options, bytes);
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
    let expiresAtMs = 0;
    const { session } = await openSession((own) => {
      // Counted from here, when nothing is left to do but to open the session.
      expiresAtMs = Math.ceil(Date.now() / 1000) * 1000 + 5_000;
      return issueLookAlike(parsed(own.certificate), issuer, {
        notBeforeMs: Date.now() - 60_000,
        notAfterMs: expiresAtMs,
      });
    });
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
