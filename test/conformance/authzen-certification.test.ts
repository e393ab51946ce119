// The certification scenario of the AuthZEN Authorization API 1.0 (openid/authzen, certification/), every level of it, as
// a harness sees the broker: addresses from its metadata, a client's secret, and nothing else. The numbers are those of
// the scenario's tests. Its policy is data: what an administrator would push for such an application.
import { readFileSync } from 'node:fs';
import { accessChange } from '@countersign/policy';
import { authzenMetadataTyp } from '@countersign/protocol/authzen';
import { jsonWebKeySet } from '@countersign/protocol/key-set';
import { randomText, sha256Base64url } from '@countersign/testkit/broker-client';
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { TestBroker } from '../support/test-broker.ts';

const fixture = accessChange.parse(
  JSON.parse(
    readFileSync(new URL('../vectors/authzen-certification.json', import.meta.url), 'utf8'),
  ),
);

let broker: TestBroker;
let metadata: Record<string, string>;
let authorization: string;

beforeAll(async () => {
  broker = await TestBroker.start();
  const [name, secret] = ['records', randomText()];
  await broker.client.putApplication(name, { name, enforcement: 'enforce' });
  await broker.client.putClient(name, {
    name,
    origins: ['https://records.example.com'],
    applications: [name],
    authentication: { method: 'client_secret', secret_sha256: await sha256Base64url(secret) },
    // Whether a deletion is soft is what the caller is about to do: nobody else could know.
    property_sources: [{ entity: 'action', name: 'soft' }],
    subject_search: true,
  });
  const pushed = await broker.client.admin('PUT', `/v1/admin/applications/${name}/access`, fixture);
  expect(pushed.status, await pushed.text()).toBe(200);
  authorization = `Basic ${btoa(`${name}:${secret}`)}`;
  const found = await broker.client.request('/.well-known/authzen-configuration');
  metadata = z.record(z.string(), z.string()).parse(await found.json());
});
afterAll(() => broker?.stopAndRemove());

const alice = { type: 'user', id: 'alice' };
const bob = { type: 'user', id: 'bob' };
const admin = { ...bob, properties: { role: 'admin' } };
const read = { name: 'read' };
const write = { name: 'write' };
const record1 = { type: 'record', id: 'record-1' };
const record2 = { type: 'record', id: 'record-2' };
const active = { ...record1, properties: { status: 'active' } };
const archived = { ...record2, properties: { status: 'archived' } };
const fixtureRequest = { subject: alice, action: read, resource: record1 };

type Endpoint =
  | 'access_evaluation_endpoint'
  | 'access_evaluations_endpoint'
  | 'search_subject_endpoint'
  | 'search_resource_endpoint'
  | 'search_action_endpoint';

function send(endpoint: Endpoint, body: unknown, headers: Record<string, string> = {}) {
  return fetch(metadata[endpoint] ?? '', {
    method: 'POST',
    headers: { Authorization: authorization, 'Content-Type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
}

async function accepted(endpoint: Endpoint, body: unknown): Promise<unknown> {
  const response = await send(endpoint, body);
  const text = await response.text();
  expect(response.status, text).toBe(200);
  expect(response.headers.get('Content-Type')).toMatch(/^application\/json\b/);
  return JSON.parse(text);
}

const decided = z.object({
  decision: z.boolean(),
  context: z.optional(z.record(z.string(), z.unknown())),
});
const decide = async (body: unknown) =>
  decided.parse(await accepted('access_evaluation_endpoint', body)).decision;
const decideAll = async (body: unknown) =>
  z
    .object({ evaluations: z.array(decided), decision: z.optional(z.undefined()) })
    .parse(await accepted('access_evaluations_endpoint', body))
    .evaluations.map(({ decision }) => decision);

const pageOf = z.object({ next_token: z.string(), count: z.int(), total: z.optional(z.int()) });
const search = async (endpoint: Endpoint, body: unknown) =>
  z
    .object({ results: z.array(z.record(z.string(), z.string())), page: z.optional(pageOf) })
    .parse(await accepted(endpoint, body));

describe('Basic Core', () => {
  it.each<[string, object, boolean]>([
    ['2.2.1 alice reads', fixtureRequest, true],
    ['1.4 rule 2: alice writes', { ...fixtureRequest, action: write }, true],
    ['1.4 rule 3: bob reads', { ...fixtureRequest, subject: bob }, true],
    ['2.2.2 bob writes', { ...fixtureRequest, subject: bob, action: write }, false],
    [
      '2.2.3 with a context',
      { ...fixtureRequest, context: { time: '2025-06-27T18:03-07:00', ip: '192.168.1.1' } },
      true,
    ],
    [
      '2.2.8 with additional properties',
      {
        subject: { ...alice, properties: { department: 'Sales', role: 'manager' } },
        action: { ...read, properties: { method: 'GET' } },
        resource: { ...record1, properties: { status: 'active', owner: 'bob' } },
      },
      true,
    ],
    [
      '2.2.9 with unknown fields',
      { ...fixtureRequest, foo: 'bar', futureField: { nested: true } },
      true,
    ],
  ])('%s', async (_, body, decision) => {
    expect(await decide(body)).toBe(decision);
  });

  it.each<[string, object]>([
    ['2.4.1 no subject', { action: read, resource: record1 }],
    ['2.4.1 no action', { subject: alice, resource: record1 }],
    ['2.4.1 no resource', { subject: alice, action: read }],
    ['2.4.2 no subject.type', { ...fixtureRequest, subject: { id: 'alice' } }],
    ['2.4.2 no subject.id', { ...fixtureRequest, subject: { type: 'user' } }],
    ['2.4.2 no action.name', { ...fixtureRequest, action: {} }],
    ['2.4.2 no resource.type', { ...fixtureRequest, resource: { id: 'record-1' } }],
    ['2.4.2 no resource.id', { ...fixtureRequest, resource: { type: 'record' } }],
    ['2.4.6 subject is a string', { ...fixtureRequest, subject: 'alice' }],
    ['2.4.6 action.name is a number', { ...fixtureRequest, action: { name: 123 } }],
  ])('%s: 400', async (_, body) => {
    expect((await send('access_evaluation_endpoint', body)).status).toBe(400);
  });

  it('2.4.3 to 2.4.5 another media type, malformed JSON, an empty body: 400', async () => {
    const plain = { 'Content-Type': 'text/plain' };
    for (const response of await Promise.all([
      send('access_evaluation_endpoint', fixtureRequest, plain),
      send('access_evaluation_endpoint', '{"subject": '),
      send('access_evaluation_endpoint', ''),
    ])) {
      expect(response.status).toBe(400);
    }
  });

  it('2.5 X-Request-ID comes back, and may be missing', async () => {
    const id = 'bfe9eb29-ab87-4ca3-be83-a1d5d8305716';
    const evaluations = { ...fixtureRequest, evaluations: [{}] };
    const requests: [Endpoint, object][] = [
      ['access_evaluation_endpoint', fixtureRequest],
      ['access_evaluations_endpoint', evaluations],
      ['search_subject_endpoint', fixtureRequest],
      ['search_resource_endpoint', fixtureRequest],
      ['search_action_endpoint', fixtureRequest],
    ];
    for (const [endpoint, body] of requests) {
      for (const sent of [body, {}, '']) {
        const response = await send(endpoint, sent, { 'X-Request-ID': id });
        expect(response.headers.get('X-Request-ID')).toBe(id);
      }
      const refused = await send(endpoint, body, {
        Authorization: 'Bearer no',
        'X-Request-ID': id,
      });
      expect([refused.status, refused.headers.get('X-Request-ID')]).toEqual([401, id]);
      expect(refused.headers.get('WWW-Authenticate')).toMatch(/^Basic realm=/);
      expect((await send(endpoint, body)).status).toBe(200);
    }
  });

  it('2.6 the same request is decided alike each time', async () => {
    for (let time = 0; time < 5; time++) expect(await decide(fixtureRequest)).toBe(true);
  });
});

describe('Basic Properties', () => {
  it.each<[string, object, boolean]>([
    [
      '2.2.4 alice writes an archived one',
      { subject: alice, action: write, resource: archived },
      false,
    ],
    ['2.2.5 an admin does', { subject: admin, action: write, resource: archived }, true],
    [
      '2.2.6 alice deletes softly',
      { ...fixtureRequest, action: { name: 'delete', properties: { soft: true } } },
      true,
    ],
    [
      '2.2.7 alice deletes for good',
      { ...fixtureRequest, action: { name: 'delete', properties: { soft: false } } },
      false,
    ],
  ])('%s', async (_, body, decision) => {
    expect(await decide(body)).toBe(decision);
  });
});

describe('Batch Core', () => {
  it('3.2.1 takes evaluations', async () => {
    const evaluations = [{ resource: record1 }, { resource: record2 }];
    expect(await decideAll({ subject: alice, action: read, evaluations })).toHaveLength(2);
  });

  it('3.2.2 decides each, in their order', async () => {
    const evaluations = [{ action: read }, { action: write }];
    expect(await decideAll({ subject: bob, resource: record1, evaluations })).toEqual([
      true,
      false,
    ]);
  });

  it('3.2.5 takes them without defaults', async () => {
    const evaluations = [fixtureRequest, { subject: bob, action: write, resource: record1 }];
    expect(await decideAll({ evaluations })).toEqual([true, false]);
  });

  it('3.2.6 takes a context for all, and one of its own', async () => {
    const context = { time: '2025-06-27T19:00-07:00', source: 'batch-override' };
    const evaluations = [{ resource: record1 }, { resource: record2, context }];
    const body = { subject: alice, action: read, context: { time: '2025-06-27T18:03-07:00' } };
    expect(await decideAll({ ...body, evaluations })).toHaveLength(2);
  });

  it('3.4.1 answers what is wrong with one of them in its place', async () => {
    const evaluations = [{ resource: record1 }, {}];
    expect(await decideAll({ subject: alice, action: read, evaluations })).toEqual([true, false]);
  });

  it('3.4.2 and 3.4.3 without any is a single one', async () => {
    for (const evaluations of [undefined, []]) {
      const answer = await accepted('access_evaluations_endpoint', {
        ...fixtureRequest,
        evaluations,
      });
      expect(decided.parse(answer).decision).toBe(true);
      expect(answer).not.toHaveProperty('evaluations');
    }
  });
});

describe('Batch Properties', () => {
  it('3.2.3 of each resource', async () => {
    const evaluations = [{ resource: active }, { resource: archived }];
    expect(await decideAll({ subject: alice, action: write, evaluations })).toEqual([true, false]);
  });

  it('3.2.4 of each subject', async () => {
    const evaluations = [{ subject: alice }, { subject: admin }];
    expect(await decideAll({ action: write, resource: archived, evaluations })).toEqual([
      false,
      true,
    ]);
  });

  it('3.2.7 with the type of the default', async () => {
    const { type: _, ...withoutType } = active;
    const evaluations = [{ resource: withoutType }, { resource: archived }];
    const body = { subject: alice, action: write, resource: { type: 'record' } };
    expect(await decideAll({ ...body, evaluations })).toEqual([true, false]);
  });
});

describe('Search Core', () => {
  const user = { type: 'user' };
  const ofSubjects = { subject: user, action: read, resource: record1 };

  it.each([
    ['4.2.1', {}],
    ['4.2.2 with a context', { context: { time: '2025-06-27T18:03-07:00' } }],
    ['4.2.3 although an id is named', { subject: { ...user, id: 'nobody' } }],
  ])('%s finds subjects', async (_, more) => {
    const { results } = await search('search_subject_endpoint', { ...ofSubjects, ...more });
    expect(results).toEqual([alice, bob]);
  });

  it.each([
    ['4.3.1', {}],
    ['4.3.2 although an id is named', { resource: { type: 'record', id: 'record-9' } }],
  ])('%s finds resources', async (_, more) => {
    const body = { subject: alice, action: read, resource: { type: 'record' }, ...more };
    const { results } = await search('search_resource_endpoint', body);
    expect(results).toEqual([record1, record2]);
  });

  it.each([
    ['4.4.1', {}],
    ['4.4.2 with a context', { context: { ip: '192.168.1.1' } }],
  ])('%s finds actions', async (_, more) => {
    const body = { subject: alice, resource: record1, ...more };
    expect((await search('search_action_endpoint', body)).results).toEqual([read, write]);
  });

  it('4.5 gives pages, the last with an empty token', async () => {
    const first = await search('search_subject_endpoint', { ...ofSubjects, page: { limit: 1 } });
    expect(first.results).toEqual([alice]);
    expect(first.page).toMatchObject({ next_token: expect.stringMatching(/./), count: 1 });
    const page = { token: first.page?.next_token };
    const second = await search('search_subject_endpoint', { ...ofSubjects, page });
    expect(second).toEqual({ results: [bob], page: { next_token: '', count: 1 } });
  });

  it('4.6 finds nothing for what nobody knows', async () => {
    const stranger = { type: 'user', id: 'nonexistent-user' };
    const actions = await search('search_action_endpoint', {
      subject: stranger,
      resource: record1,
    });
    expect(actions.results).toEqual([]);
    const subject = { type: 'spaceship' };
    const subjects = await search('search_subject_endpoint', { ...ofSubjects, subject });
    expect(subjects.results).toEqual([]);
    const resource = { type: 'spaceship' };
    const body = { subject: alice, action: read, resource };
    expect((await search('search_resource_endpoint', body)).results).toEqual([]);
  });

  it.each<[string, Endpoint, object]>([
    ['4.7.1 no action', 'search_subject_endpoint', { subject: user, resource: record1 }],
    ['4.7.1 no subject', 'search_resource_endpoint', { action: read, resource: record1 }],
    ['4.7.1 no resource', 'search_action_endpoint', { subject: alice }],
    [
      '4.7.2 no resource.id',
      'search_subject_endpoint',
      { subject: user, action: read, resource: { type: 'record' } },
    ],
    [
      '4.7.2 no subject.id',
      'search_resource_endpoint',
      { subject: user, action: read, resource: { type: 'record' } },
    ],
  ])('%s: 400', async (_, endpoint, body) => {
    expect((await send(endpoint, body)).status).toBe(400);
  });
});

describe('Search Properties', () => {
  it('4.2.4 finds who may write an archived one', async () => {
    const body = { subject: { type: 'user' }, action: write, resource: archived };
    expect((await search('search_subject_endpoint', body)).results).toEqual([bob]);
  });

  it('4.3.3 finds what an admin may write', async () => {
    const body = { subject: admin, action: write, resource: { type: 'record' } };
    expect((await search('search_resource_endpoint', body)).results).toEqual([record2]);
  });

  it('4.4.3 finds what an admin may do with an archived one', async () => {
    const body = { subject: admin, resource: archived };
    expect((await search('search_action_endpoint', body)).results).toEqual([read, write]);
  });
});

describe('Discovery', () => {
  it('6.5 names the decision point and its addresses, and signs what it says', async () => {
    const response = await fetch(`${broker.url}/.well-known/authzen-configuration`, {
      signal: AbortSignal.timeout(10_000),
    });
    expect(response.status).toBe(200);
    expect(response.headers.get('Content-Type')).toMatch(/^application\/json\b/);
    const { signed_metadata, ...plain } = z
      .record(z.string(), z.string())
      .parse(await response.json());
    expect(plain).toEqual({
      policy_decision_point: broker.url,
      access_evaluation_endpoint: `${broker.url}/access/v1/evaluation`,
      access_evaluations_endpoint: `${broker.url}/access/v1/evaluations`,
      search_subject_endpoint: `${broker.url}/access/v1/search/subject`,
      search_resource_endpoint: `${broker.url}/access/v1/search/resource`,
      search_action_endpoint: `${broker.url}/access/v1/search/action`,
    });
    const published = await fetch(`${broker.url}/.well-known/jwks.json`);
    const { keys } = jsonWebKeySet.parse(await published.json());
    const auditKeys = { keys: keys.filter(({ purpose }) => purpose === 'audit') };
    const { payload } = await jwtVerify(signed_metadata ?? '', createLocalJWKSet(auditKeys), {
      issuer: broker.url,
      typ: authzenMetadataTyp,
      algorithms: ['ES256'],
    });
    expect(payload).toEqual({ ...plain, iss: broker.url, iat: expect.any(Number) });
    expect(Object.keys(decodeProtectedHeader(signed_metadata ?? '')).sort()).toEqual([
      'alg',
      'kid',
      'typ',
    ]);
  });
});
