// The one way in: methods, addresses, media types, bodies and headers, at every entry point.
import { gzipSync } from 'node:zlib';
import type { ProblemCode } from '@countersign/protocol';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  expectProblem,
  expectStandardHeaders,
  expectTrusted,
  readDecision,
} from '../support/expect-answer.ts';
import { enrollDevice, openTransaction } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

const maxBodyBytes = 64 * 1024;

let broker: TestBroker;
let client: TestClient;
let device: FakeDevice;

beforeAll(async () => {
  broker = await TestBroker.start();
  client = await broker.client.registerClient();
  device = await enrollDevice(broker);
});
afterAll(() => broker?.stopAndRemove());

/** Every address that takes a body, with what opens it. */
function entryPoints(): [method: string, path: string, headers: Record<string, string>][] {
  const owner = { Authorization: `Bearer ${broker.server.ownerToken}` };
  const asClient = {
    Authorization: `Basic ${btoa(`${client.clientId}:${client.clientSecret}`)}`,
  };
  const revoke = `/v1/admin/devices/${device.deviceId}/certificates/${'A'.repeat(43)}/revoke`;
  return [
    ['POST', '/v1/challenges', { Origin: client.origin }],
    ['POST', '/v1/enrollments', {}],
    ['POST', '/access/v1/evaluation', asClient],
    ['POST', '/v1/completions', asClient],
    ['POST', '/v1/fail-open-statements', asClient],
    ['POST', '/v1/fail-open-reports', asClient],
    ['PUT', '/v1/admin/applications/crm', owner],
    ['PUT', '/v1/admin/clients/crm', owner],
    ['POST', '/v1/admin/enrollment-tokens', owner],
    ['POST', revoke, owner],
  ];
}

async function sendEverywhere(
  body: string | Uint8Array<ArrayBuffer>,
  headers: Readonly<Record<string, string>>,
  look: (response: Response, path: string) => Promise<unknown>,
): Promise<void> {
  for (const [method, path, own] of entryPoints()) {
    const all = { 'Content-Type': 'application/json', ...own, ...headers };
    await look(await broker.client.request(path, { method, headers: all, body }), path);
  }
}

const refusedEverywhere = (
  body: string | Uint8Array<ArrayBuffer>,
  status: number,
  code: ProblemCode,
  headers: Readonly<Record<string, string>> = {},
) => sendEverywhere(body, headers, (response) => expectProblem(response, status, code));

describe('#72 a body', () => {
  it('is refused when it is no JSON', async () => {
    for (const body of [
      '',
      ' ',
      '{',
      '{"a":1,}',
      "{'a':1}",
      'undefined',
      '{"a":1}{"a":1}',
      '\u0000',
    ]) {
      await refusedEverywhere(body, 400, 'json_malformed');
    }
  });

  it('is refused when it is no UTF-8', async () => {
    const bodies = [
      [0x22, 0xff, 0x22],
      [0x22, 0xc0, 0xaf, 0x22],
      [0x22, 0xed, 0xa0, 0x80, 0x22],
      [0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00],
    ];
    for (const body of bodies) {
      await refusedEverywhere(new Uint8Array(body), 400, 'json_malformed');
    }
  });

  it('is refused when it is JSON of another kind', async () => {
    for (const body of ['null', '[]', '"text"', '1', 'true', '[{}]']) {
      await sendEverywhere(body, {}, async (response) => {
        const problem = await expectProblem(response, 400, 'field_invalid', '(body)');
        expect(problem.detail).toMatch(/object/);
      });
    }
  });

  it('#29 is refused when it is nested as deeply as fits', async () => {
    const depth = maxBodyBytes / 2;
    await refusedEverywhere('['.repeat(maxBodyBytes), 400, 'json_malformed');
    for (const body of [
      `${'['.repeat(depth)}${']'.repeat(depth)}`,
      `${'{"a":'.repeat(8000)}1${'}'.repeat(8000)}`,
    ]) {
      await sendEverywhere(body, {}, async (response, path) => {
        expect([path, response.status]).toEqual([path, 400]);
        expectStandardHeaders(response);
      });
    }
  });

  it('is refused above 64 KiB, whatever is in it, and read up to that', async () => {
    await refusedEverywhere(`{"a":"${'x'.repeat(maxBodyBytes)}"}`, 413, 'body_too_large');
    const largest = `{"a":"${'x'.repeat(maxBodyBytes - 8)}"}`;
    expect(largest).toHaveLength(maxBodyBytes);
    await sendEverywhere(largest, {}, async (response, path) => {
      expect([path, response.status]).toEqual([path, 400]);
    });
    await refusedEverywhere(`${largest} `, 413, 'body_too_large');
  });

  it('is never unpacked: gzip is no JSON, however large its contents', async () => {
    const encoding = { 'Content-Encoding': 'gzip' };
    const bomb = new Uint8Array(gzipSync(Buffer.alloc(32 * 1024 * 1024, 0x20)));
    expect(bomb.length).toBeLessThan(maxBodyBytes);
    await refusedEverywhere(bomb, 400, 'json_malformed', encoding);
    await refusedEverywhere(new Uint8Array(gzipSync('{}')), 400, 'json_malformed', encoding);
  });

  it.each([
    '',
    'text/html',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=a',
    'application/jsonp',
    'application/json, text/html',
    'json',
  ])('is refused as %j', async (type) => {
    await refusedEverywhere('{}', 400, 'content_type_unsupported', { 'Content-Type': type });
  });

  it('as text/plain is for challenges alone', async () => {
    await sendEverywhere('{}', { 'Content-Type': 'text/plain' }, (response, path) =>
      path === '/v1/challenges'
        ? expectProblem(response, 400, 'field_invalid', 'client_id')
        : expectProblem(response, 400, 'content_type_unsupported'),
    );
  });
});

describe('#72 members that JSON allows and programs trip over', () => {
  const put = (body: string) =>
    broker.client.request('/v1/admin/applications/pollution', {
      method: 'PUT',
      headers: {
        Authorization: `Bearer ${broker.server.ownerToken}`,
        'Content-Type': 'application/json',
      },
      body,
    });

  it.each([
    '{"__proto__":{"name":"a","enforcement":"monitor"}}',
    '{"__proto__":{"enforcement":"monitor"},"name":"a"}',
    '{"constructor":{"prototype":{"enforcement":"monitor"}},"name":"a"}',
    '{"name":"a","enforcement":"monitor\\u0000"}',
    '{"name":"a","enforcement":["monitor"]}',
    '{"name":"a","enforcement":{"toString":"monitor"}}',
    '{"name":"a","enforcement":"monitor","extra":1}',
    '{"name":"a","Enforcement":"monitor"}',
    '{"name":"a","enforcement":true}',
    '{"name":1e400,"enforcement":"monitor"}',
    '{"name":"","enforcement":"monitor"}',
  ])('%s changes nothing', async (body) => {
    const response = await put(body);
    const text = await response.clone().text();
    await expectProblem(response, 400, 'field_invalid', /"field":"([^"]+)"/.exec(text)?.[1]);
    const answer = await broker.client.admin('PUT', '/v1/admin/clients/pollution', {
      name: 'a',
      origins: ['https://a.example.com'],
      applications: ['pollution'],
      authentication: { method: 'client_secret', secret_sha256: 'A'.repeat(43) },
    });
    await expectProblem(answer, 404, 'application_not_found', 'applications');
  });

  it('a member that is there twice is refused, because two programs may read two things', async () => {
    const { transaction, challenge } = await openTransaction(broker, client);
    const evidence = await device.evidence(challenge, client.origin);
    const body = JSON.stringify(broker.client.evaluationBody(client, { transaction, evidence }));
    for (const doubled of [
      body.replace('{"type":"user"', '{"type":"robot","type":"user"'),
      body.replace('{"type":"user"', '{"type":"robot","\\u0074ype":"user"'),
      body.replace('{"subject"', '{"subject":{},"subject"'),
    ]) {
      expect(doubled).not.toBe(body);
      const response = await broker.client.sendEvaluation(client, doubled);
      await expectProblem(response, 400, 'json_malformed');
    }
    expectTrusted(await readDecision(await broker.client.sendEvaluation(client, body)));
  });

  it('a user may be called anything, and is recorded as that', async () => {
    const names = [
      '__proto__',
      'constructor',
      'a"b\\c',
      "'; DROP TABLE decisions; --",
      '😀',
      '\u202e',
    ];
    for (const subject of names) {
      const answer = await broker.client.evaluate(client, { subject, transaction: randomText() });
      expect(answer.decision).toBe(false);
    }
    const recorded = (await broker.recordedDecisions()).map(({ subject }) => subject);
    expect(recorded).toEqual(expect.arrayContaining(names));
    expect(await broker.brokenRows()).toEqual([]);
  });

  it('half of a character is refused: other programs could not verify its hash', async () => {
    const body = broker.client.evaluationBody(client, { transaction: randomText() });
    const text = JSON.stringify(body).replace('"ada"', '"\\ud800"');
    expect(text).toContain('\\ud800');
    const response = await broker.client.sendEvaluation(client, text);
    await expectProblem(response, 400, 'json_malformed');
  });
});

describe('an address', () => {
  const addresses: [string, string][] = [
    ['/v1/challenges', 'POST, OPTIONS'],
    ['/v1/enrollments', 'POST'],
    ['/v1/key-set', 'GET'],
    ['/access/v1/evaluation', 'POST'],
    ['/access/v1/evaluations', 'POST'],
    ['/access/v1/search/subject', 'POST'],
    ['/access/v1/search/resource', 'POST'],
    ['/access/v1/search/action', 'POST'],
    ['/v1/completions', 'POST'],
    ['/v1/fail-open-statements', 'POST'],
    ['/v1/fail-open-reports', 'POST'],
    ['/v1/admin/decisions/0.1/receipt', 'GET'],
    ['/v1/admin/applications/a/fail-open', 'GET, PUT'],
    ['/v1/admin/learn-more', 'GET, PUT'],
    ['/.well-known/authzen-configuration', 'GET'],
    ['/.well-known/jwks.json', 'GET'],
    ['/healthz', 'GET'],
    ['/v1/admin/applications/a', 'PUT'],
    ['/v1/admin/applications/a/access', 'GET, PUT'],
    ['/v1/admin/clients/a', 'PUT'],
    ['/v1/admin/enrollment-tokens', 'POST'],
    ['/v1/admin/devices/a', 'GET'],
    ['/v1/admin/devices/a/certificates/b/revoke', 'POST'],
    ['/v1/admin/shards/0/decisions', 'GET'],
  ];

  it.each(addresses)('%s takes %s and nothing else', async (path, allowed) => {
    const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'get'];
    for (const method of methods.filter(
      (each) => !allowed.split(', ').includes(each.toUpperCase()),
    )) {
      const response = await broker.client.request(path, { method });
      expect(response.headers.get('Allow')).toBe(allowed);
      await expectProblem(response, 405, 'method_not_allowed');
    }
  });

  it.each([
    '/',
    '/v1',
    '/v1/',
    '/v1/challenges/',
    '/V1/challenges',
    '/v1//challenges',
    '/v1/challenges%2f',
    '/v1/admin',
    '/v1/admin/',
    '/v1/admin/no-such-address',
    '/v1/admin/devices/a/b',
    '/.well-known/',
    '/.git/config',
    '/cdn-cgi/trace',
    '/%00',
    '/%ff',
    '/index.html',
    '/__proto__',
  ])('%s does not exist', async (path) => {
    for (const method of ['GET', 'POST']) {
      const body = method === 'POST' ? { body: '{}' } : {};
      await expectProblem(await broker.client.request(path, { method, ...body }), 404, 'not_found');
    }
  });

  it('does not change through the query', async () => {
    const response = await broker.client.request('/healthz?method=PUT&_method=DELETE#x');
    expect(response.status).toBe(200);
  });
});

describe('#71 every answer', () => {
  it('may not be stored or sniffed, and names the request', async () => {
    for (const path of ['/healthz', '/v1/key-set', '/.well-known/jwks.json', '/nothing']) {
      for (const method of ['GET', 'HEAD']) {
        const response = await broker.client.request(path, { method });
        expectStandardHeaders(response);
        expect(response.headers.has('Set-Cookie')).toBe(false);
        expect(response.headers.has('ETag')).toBe(false);
      }
    }
  });

  it('has an id of its own where the request has none', async () => {
    const ids = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const response = await broker.client.request('/healthz');
        return response.headers.get('X-Request-ID');
      }),
    );
    expect(new Set(ids).size).toBe(20);
  });

  it.each([
    'bfe9eb29-ab87-4ca3-be83-a1d5d8305716',
    'a',
    'trace:0af7651916cd43dd/8448eb211c80319c;o=1',
    'two words',
    '"quoted", {json}',
    'x'.repeat(256),
  ])("repeats the caller's id %j", async (id) => {
    const response = await broker.client.request('/healthz', { headers: { 'X-Request-ID': id } });
    expect(response.headers.get('X-Request-ID')).toBe(id);
  });

  it.each(['x'.repeat(257), 'é', ''])('replaces an id that is no plain text: %j', async (id) => {
    const response = await broker.client.request('/healthz', { headers: { 'X-Request-ID': id } });
    expect(response.headers.get('X-Request-ID')).toMatch(/^[0-9a-f-]{36}$/);
  });
});
