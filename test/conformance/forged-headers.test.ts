// #15, #18: headers in which a proxy would say who the client is. Sent by a client, they change nothing.
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { forgedHeadersFor, forgedMark } from '../support/forged-headers.ts';
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

const forgedHeaders = () => forgedHeadersFor(device.certificate ?? new Uint8Array());
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
  const { statuses, text } = await exchangeBytes(broker.httpPort, bytesOf(request, forged));
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
    expect(broker.logLines.filter((line) => line.includes(forgedMark))).toEqual([]);
    expect(broker.logLines.filter((line) => line.includes('203.0.113.7'))).toEqual([]);
  });
});
