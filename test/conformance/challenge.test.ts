// POST /v1/challenges: what a sign-in page gets, and from which pages the broker takes the request.
import { join } from 'node:path';
import type { ProblemCode } from '@countersign/protocol';
import { challengeClaims } from '@countersign/protocol/challenge';
import { keySetAnswer, keySetClaims } from '@countersign/protocol/key-set';
import { randomText, sha256Base64url, type TestClient } from '@countersign/testkit/broker-client';
import { compactVerify, decodeJwt, decodeProtectedHeader, importJWK } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectProblem, expectStandardHeaders } from '../support/expect-answer.ts';
import { fileSizes } from '../support/folder-size.ts';
import { TestBroker } from '../support/test-broker.ts';

const origin = 'https://sso.example.com';

let broker: TestBroker;
let client: TestClient;

beforeAll(async () => {
  broker = await TestBroker.start();
  client = await broker.client.registerClient({ origin });
});
afterAll(() => broker?.stopAndRemove());

const ask = (
  headers: Readonly<Record<string, string>> = { Origin: origin },
  body: unknown = { client_id: client.clientId, transaction: randomText() },
) => broker.client.post('/v1/challenges', body, headers);

describe('a challenge', () => {
  it('says for whom and for what it is, and lives 60 seconds', async () => {
    const transaction = randomText();
    const before = Math.floor(Date.now() / 1000);
    const challenge = await broker.client.challenge(client, transaction);
    const after = Math.floor(Date.now() / 1000);
    const claims = challengeClaims.parse(decodeJwt(challenge));
    expect(claims).toMatchObject({
      iss: broker.url,
      aud: broker.server.organizationId,
      client_id: client.clientId,
      origins: [origin],
      transaction_hash: await sha256Base64url(transaction),
    });
    expect(claims.exp - claims.iat).toBe(60);
    expect(claims.iat).toBeGreaterThanOrEqual(before);
    expect(claims.iat).toBeLessThanOrEqual(after);
    expect(Object.keys(decodeJwt(challenge)).sort()).toEqual(
      [...Object.keys(challengeClaims.shape)].sort(),
    );
    expect(challenge).not.toContain(transaction);
  });

  it('is signed with the challenge key of the key set, and with no other key', async () => {
    const challenge = await broker.client.challenge(client, randomText());
    const { key_set } = keySetAnswer.parse(
      await (await broker.client.request('/v1/key-set')).json(),
    );
    const { keys } = keySetClaims.parse(decodeJwt(key_set));
    const [key] = keys;
    if (key === undefined) throw new Error('the key set has a key');
    const header = decodeProtectedHeader(challenge);
    expect(header).toEqual({ alg: 'ES256', typ: 'challenge+jwt', kid: key.kid });
    await compactVerify(challenge, await importJWK(key, 'ES256'));

    const jwks = await (await broker.client.request('/.well-known/jwks.json')).text();
    expect(jwks).not.toContain(key.kid);
    expect(jwks).not.toContain(key.x);
  });

  it('#16 has an id of 128 random bits', async () => {
    const count = 400;
    const challenges = await Promise.all(
      Array.from({ length: count }, () => broker.client.challenge(client, randomText())),
    );
    const ids = challenges.map((it) => Buffer.from(String(decodeJwt(it).jti), 'base64url'));
    expect(new Set(ids.map((id) => id.toString('hex'))).size).toBe(count);
    for (let bit = 0; bit < 128; bit++) {
      const ones = ids.filter((id) => ((id[bit >> 3] ?? 0) >> (bit & 7)) & 1).length;
      // Six standard deviations on either side of one half.
      expect(Math.abs(ones - count / 2), `bit ${bit}`).toBeLessThan(6 * Math.sqrt(count / 4));
    }
  });

  it('#17 is not stored: 300 of them leave the databases as they were', async () => {
    const folder = join(broker.dataDirectory, 'durable-objects');
    await ask();
    const before = fileSizes(folder);
    const answers = await Promise.all(Array.from({ length: 300 }, () => ask()));
    expect(answers.map(({ status }) => status)).toEqual(Array(300).fill(200));
    expect(fileSizes(folder)).toEqual(before);
    expect(Object.keys(before).length).toBeGreaterThan(0);
  });
});

describe('the page that asks', () => {
  it.each(['text/plain', 'text/plain;charset=UTF-8', 'application/json', 'Application/JSON ; a=b'])(
    'may send its JSON as %s',
    async (type) => {
      const response = await ask({ Origin: origin, 'Content-Type': type });
      expect(response.status).toBe(200);
      expectStandardHeaders(response);
      expect(await response.json()).toEqual({
        challenge: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
        expires_in_seconds: 60,
      });
    },
  );

  it('may read the answer, without credentials', async () => {
    const { headers } = await ask();
    expect(headers.get('Access-Control-Allow-Origin')).toBe(origin);
    expect(headers.get('Vary')).toMatch(/\bOrigin\b/);
    expect(headers.has('Access-Control-Allow-Credentials')).toBe(false);
  });

  it.each([
    'null',
    'https://evil.example',
    'https://sso.example.com.evil.example',
    'https://evil-sso.example.com',
    'http://sso.example.com',
    'https://sso.example.com:443',
    'https://sso.example.com:8443',
    'https://sso.example.com/',
    'https://SSO.example.com',
    'https://user@sso.example.com',
    'https://sso.example.com, https://evil.example',
    'https://evil.example, https://sso.example.com',
    'https://sso.example.com https://evil.example',
    '*',
    ' ',
    'constructor',
  ])('#5 is refused for the origin %j, in an answer that it cannot read', async (evil) => {
    const response = await ask({ Origin: evil });
    expect(response.headers.has('Access-Control-Allow-Origin')).toBe(false);
    await expectProblem(response, 403, 'origin_not_registered');
  });

  it('#5 is refused without an Origin', async () => {
    await expectProblem(await ask({}), 403, 'origin_not_registered');
  });

  it('may read why it is refused, where its origin is registered', async () => {
    const other = await broker.client.registerClient({ origin: 'https://third.example.com' });
    const body = { client_id: client.clientId, transaction: randomText() };
    const refusals: [Response, number, ProblemCode, string?][] = [
      [
        await ask(undefined, { ...body, transaction: 'short' }),
        400,
        'field_invalid',
        'transaction',
      ],
      [await ask(undefined, { ...body, client_id: 'nobody' }), 403, 'client_unknown', 'client_id'],
      [await ask(undefined, '{'), 400, 'json_malformed'],
      [await ask({ Origin: other.origin }, body), 403, 'origin_not_registered'],
    ];
    for (const [response, status, code, field] of refusals) {
      const page = code === 'origin_not_registered' ? other.origin : origin;
      expect(response.headers.get('Access-Control-Allow-Origin')).toBe(page);
      expect(response.headers.get('Vary')).toMatch(/\bOrigin\b/);
      expect(response.headers.has('Access-Control-Allow-Credentials')).toBe(false);
      await expectProblem(response, status, code, field);
    }
  });

  it("is refused for another client's origin", async () => {
    const other = await broker.client.registerClient({ origin: 'https://other.example.com' });
    await expectProblem(await ask({ Origin: other.origin }), 403, 'origin_not_registered');
  });

  it('does not choose the origin in the body', async () => {
    const response = await ask(
      { Origin: 'https://evil.example' },
      { client_id: client.clientId, transaction: randomText(), origin, origins: [origin] },
    );
    await expectProblem(response, 403, 'origin_not_registered');
  });

  it('is refused once its origin is taken from the client', async () => {
    const name = `moved-${randomText(4).toLowerCase().replaceAll('_', '-')}`;
    const moved = await broker.client.registerClient({ name, origin: 'https://old.example.com' });
    await broker.client.challenge(moved, randomText());
    await broker.client.registerClient({ name, origin: 'https://new.example.com' });
    const body = { client_id: name, transaction: randomText() };
    const refused = await ask({ Origin: 'https://old.example.com' }, body);
    await expectProblem(refused, 403, 'origin_not_registered');
    expect((await ask({ Origin: 'https://new.example.com' }, body)).status).toBe(200);
  });
});

describe('a preflight', () => {
  const preflight = (headers: Readonly<Record<string, string>>) =>
    broker.client.request('/v1/challenges', { method: 'OPTIONS', headers });

  it('lets a registered page send application/json', async () => {
    const response = await preflight({
      Origin: origin,
      'Access-Control-Request-Method': 'POST',
      'Access-Control-Request-Headers': 'content-type',
    });
    expect(response.status).toBe(204);
    expectStandardHeaders(response);
    expect(response.headers.get('Access-Control-Allow-Origin')).toBe(origin);
    expect(response.headers.get('Access-Control-Allow-Methods')).toBe('POST');
    expect(response.headers.get('Access-Control-Allow-Headers')).toBe('Content-Type');
    expect(response.headers.get('Vary')).toMatch(/\bOrigin\b/);
    expect(response.headers.has('Access-Control-Allow-Credentials')).toBe(false);
  });

  it.each([{ Origin: 'https://evil.example' }, { Origin: 'null' }, {}])(
    'is refused for %j',
    async (headers) => {
      const response = await preflight(headers);
      expect(response.headers.has('Access-Control-Allow-Origin')).toBe(false);
      await expectProblem(response, 403, 'origin_not_registered');
    },
  );

  it.each(['/access/v1/evaluation', '/v1/enrollments', '/v1/admin/enrollment-tokens'])(
    'opens %s to no page',
    async (path) => {
      const response = await broker.client.request(path, {
        method: 'OPTIONS',
        headers: { Origin: origin, 'Access-Control-Request-Method': 'POST' },
      });
      expect(response.headers.has('Access-Control-Allow-Origin')).toBe(false);
      await expectProblem(response, 405, 'method_not_allowed');
    },
  );
});

describe('a request for a challenge that is wrong', () => {
  it('names an unknown client', async () => {
    const body = { client_id: 'nobody', transaction: randomText() };
    await expectProblem(await ask(undefined, body), 403, 'client_unknown', 'client_id');
  });

  it.each<[string, unknown, string]>([
    ['no client', undefined, 'client_id'],
    ['an empty client', '', 'client_id'],
    ['a client in capitals', 'SSO', 'client_id'],
    ['a client that is a path', '../admin', 'client_id'],
    ['a client of 64 characters', 'a'.repeat(64), 'client_id'],
    ['a client that is a list', ['a'], 'client_id'],
    ['a client named like a member of objects', '__proto__', 'client_id'],
  ])('has %s', async (_, clientId, field) => {
    const body = { client_id: clientId, transaction: randomText() };
    await expectProblem(await ask(undefined, body), 400, 'field_invalid', field);
  });

  it.each<[string, unknown]>([
    ['missing', undefined],
    ['null', null],
    ['a number', 5],
    ['of 15 bytes', randomText(15)],
    ['of 65 bytes', randomText(65)],
    ['padded', `${randomText(16)}==`],
    ['in the other alphabet', '+/'.repeat(12)],
    ['with bits after the last byte', `${'A'.repeat(42)}B`],
    ['with a space', `${randomText()} `],
  ])('has a transaction that is %s', async (_, transaction) => {
    const body = { client_id: client.clientId, transaction };
    await expectProblem(await ask(undefined, body), 400, 'field_invalid', 'transaction');
  });

  it.each(['constructor', 'to-string', 'has-own-property', 'value-of'])(
    'names %s, which no client is called',
    async (clientId) => {
      const body = { client_id: clientId, transaction: randomText() };
      await expectProblem(await ask(undefined, body), 403, 'client_unknown', 'client_id');
    },
  );
});
