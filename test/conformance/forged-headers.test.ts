// #15, #18: headers in which a proxy would say who the client is. Sent by a client, they change nothing.
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exchangeBytes } from '../support/raw-http.ts';
import { enrollDevice } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
let client: TestClient;
let device: FakeDevice;

beforeAll(async () => {
  broker = await TestBroker.start();
  client = await broker.client.registerClient();
  device = await enrollDevice(broker);
});
afterAll(() => broker?.stopAndRemove());

/** In every forged value, so that a log shows whether one was believed, or only repeated. */
const mark = 'FORGED-BY-CLIENT';

function forgedHeaders(): [name: string, value: string][] {
  const certificate = Buffer.from(device.certificate ?? []).toString('base64');
  const tlsClientAuth = {
    certPresented: '1',
    certVerified: 'SUCCESS',
    certRevoked: '0',
    certRFC9440: `:${certificate}:`,
    certSubjectDN: mark,
  };
  const blob = JSON.stringify({ clientIp: '203.0.113.7', country: mark, tlsClientAuth });
  const pem = encodeURIComponent(`-----BEGIN CERTIFICATE-----\n${certificate}`);
  const names: [string, string][] = [
    ['CF-Blob', blob],
    ['CF-Blob', `{${mark}`],
    ['MF-CF-Blob', blob],
    ['X-CF-Blob', blob],
    ['CF-Connecting-IP', '203.0.113.7'],
    ['CF-IPCountry', mark],
    ['CF-Ray', mark],
    ['CF-Visitor', '{"scheme":"https"}'],
    ['CF-Worker', mark],
    ['Client-Cert', `:${certificate}:`],
    ['Client-Cert-Chain', `:${certificate}:`],
    ['X-Client-Cert', pem],
    ['X-Client-Verify', 'SUCCESS'],
    ['X-Client-DN', `CN=${mark}`],
    ['X-SSL-Client-Cert', pem],
    ['X-SSL-Client-Verify', 'SUCCESS'],
    ['X-SSL-Client-S-DN', `CN=${mark}`],
    ['SSL-Client-Cert', pem],
    ['SSL_CLIENT_CERT', pem],
    ['X_SSL_CLIENT_VERIFY', 'SUCCESS'],
    ['X-Forwarded-Client-Cert', `Hash=${'0'.repeat(64)};Subject="CN=${mark}"`],
    ['X-Forwarded-Tls-Client-Cert', pem],
    ['X-ARR-ClientCert', certificate],
    ['X-Amzn-Mtls-Clientcert', pem],
    ['X-Forwarded-For', '127.0.0.1, 203.0.113.7'],
    ['X-Forwarded-Host', 'evil.example'],
    ['X-Forwarded-Proto', 'https'],
    ['X-Forwarded-User', 'admin'],
    ['Forwarded', 'for=127.0.0.1;host=evil.example;proto=https'],
    ['X-Real-IP', '127.0.0.1'],
    ['True-Client-IP', '127.0.0.1'],
    ['X-Original-URL', '/v1/admin/shards/0/decisions'],
    ['X-Rewrite-URL', '/v1/admin/shards/0/decisions'],
    ['X-HTTP-Method-Override', 'PUT'],
    ['X-Remote-User', 'admin'],
    ['Remote-User', 'admin'],
    ['Early-Data', '1'],
    ['Sec-Fetch-Site', 'same-origin'],
  ];
  const spellings = (name: string) => [
    name,
    name.toLowerCase(),
    name.toUpperCase(),
    name.replaceAll('-', '_'),
  ];
  return names.flatMap(([name, value]) =>
    [...new Set(spellings(name))].map((spelled): [string, string] => [spelled, value]),
  );
}

type Request = {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
};

const bytesOf = ({ method, path, headers, body }: Request, forged: [string, string][]) => {
  const text = body === undefined ? '' : JSON.stringify(body);
  const own = Object.entries({
    Host: '127.0.0.1',
    Connection: 'close',
    'Content-Type': 'application/json',
    'Content-Length': String(Buffer.byteLength(text)),
    ...headers,
  });
  const lines = [...own, ...forged].map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${text}`;
};

async function send(request: Request, forged: [string, string][]) {
  const { statuses, text } = await exchangeBytes(broker.httpPort, bytesOf(request, forged), 5000);
  const [head = '', body = ''] = text.split('\r\n\r\n');
  return { statuses, head, body };
}

/** A request that is refused or denied without proof, whoever claims to send it. */
function requestsWithoutProof(): [what: string, Request, status: number, contains: string][] {
  const body = broker.client.evaluationBody(client, { transaction: randomText() });
  const basic = `Basic ${btoa(`${client.clientId}:${client.clientSecret}`)}`;
  return [
    ['health', { method: 'GET', path: '/healthz' }, 200, '"status":"ok"'],
    ['administration', { method: 'GET', path: '/v1/admin/shards/0/decisions' }, 401, 'admin_auth'],
    [
      'a sign-in server',
      { method: 'POST', path: '/access/v1/evaluation', body },
      401,
      'client_auth',
    ],
    [
      'a sign-in without evidence',
      { method: 'POST', path: '/access/v1/evaluation', headers: { Authorization: basic }, body },
      200,
      '"decision":false',
    ],
    [
      'a page of no registered origin',
      {
        method: 'POST',
        path: '/v1/challenges',
        headers: { Origin: 'https://evil.example' },
        body: { client_id: client.clientId, transaction: randomText() },
      },
      403,
      'origin_not_registered',
    ],
    ['an address that is not there', { method: 'GET', path: '/nothing' }, 404, 'not_found'],
  ];
}

describe('#15 #18 forged headers', () => {
  it('one by one, in every spelling, leave a request without proof what it is', async () => {
    const headers = forgedHeaders();
    expect(headers.length).toBeGreaterThan(120);
    for (const forged of headers) {
      for (const [what, request, status, contains] of requestsWithoutProof().slice(0, 3)) {
        const answer = await send(request, [forged]);
        expect(answer.statuses, `${forged[0]} for ${what}: ${answer.head}`).toEqual([status]);
        expect(answer.body).toContain(contains);
      }
    }
  });

  it('two of one name, and all short ones at once, change nothing either', async () => {
    const headers = forgedHeaders();
    const blobs = headers.filter(([name]) => name.toLowerCase() === 'cf-blob').slice(0, 4);
    const short = headers.filter(([, value]) => value.length < 100).slice(0, 80);
    expect([blobs.length, short.length]).toEqual([4, 80]);
    const sets = [blobs, short];
    for (const set of sets) {
      for (const [what, request, status, contains] of requestsWithoutProof()) {
        const answer = await send(request, set);
        expect(answer.statuses, `${what}: ${answer.head} ${answer.body}`).toEqual([status]);
        expect(answer.body).toContain(contains);
      }
    }
  });

  it('are in no log', async () => {
    // Lines of the log come through a pipe, behind the answer.
    await expect
      .poll(() => broker.logLines.join('\n'), { timeout: 5000 })
      .toContain('origin_not_registered');
    expect(broker.logLines.filter((line) => line.includes(mark))).toEqual([]);
    expect(broker.logLines.filter((line) => line.includes('203.0.113.7'))).toEqual([]);
  });
});
