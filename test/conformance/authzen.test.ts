// AuthZEN Authorization API 1.0: what the standard asks of an evaluation and its metadata, for sign-ins. Access inside of
// applications is in authzen-access.test.ts, the certification scenario in authzen-certification.test.ts.
import { accessAnswer, authzenMetadata } from '@countersign/protocol/authzen';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  expectDenied,
  expectProblem,
  expectTrusted,
  readDecision,
} from '../support/expect-answer.ts';
import { enrollDevice, openTransaction } from '../support/sign-in-attempt.ts';
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

const alice = () => ({ type: 'user', id: 'alice' });
const signIn = () => ({ name: 'sign_in' });
const application = () => ({ type: 'application', id: client.application });
const minimal = () => ({ subject: alice(), action: signIn(), resource: application() });
const send = (body: unknown, headers: Readonly<Record<string, string>> = {}) =>
  broker.client.post('/access/v1/evaluation', body, {
    Authorization: `Basic ${btoa(`${client.clientId}:${client.clientSecret}`)}`,
    ...headers,
  });

describe('metadata', () => {
  it('names only endpoints that are there, and may be kept by whoever asked', async () => {
    const response = await broker.client.request('/.well-known/authzen-configuration');
    expect(response.headers.get('Cache-Control')).toBe('private, max-age=600');
    const metadata = Object.entries(authzenMetadata.parse(await response.json()));
    const endpoints = metadata.filter(([name]) => name.endsWith('_endpoint'));
    expect(endpoints).toHaveLength(5);
    for (const [name, url] of endpoints) {
      const answer = await fetch(url, { method: 'POST', body: '{}' });
      expect([name, answer.status]).toEqual([name, 401]);
    }
  });
});

describe('a request', () => {
  it('of the three required members alone is decided', async () => {
    const answer = await readDecision(await send(minimal()));
    expectDenied(answer, 'evidence_missing');
    expect(answer.context.decision_token).toBeUndefined();
  });

  it('with a context that knows nothing of this broker is decided', async () => {
    const context = { time: '2025-06-27T18:03-07:00', ip: '192.168.1.1' };
    expectDenied(await readDecision(await send({ ...minimal(), context })), 'evidence_missing');
  });

  it('with an empty transaction is not decided for any challenge', async () => {
    const { challenge } = await openTransaction(broker, client);
    const evidence = await device.evidence(challenge, client.origin);
    const context = { evidence, subject_authenticated: true };
    const answer = await readDecision(await send({ ...minimal(), context }));
    expectDenied(answer, 'challenge_wrong_transaction');
  });

  it('may carry properties and members that nobody knows', async () => {
    const { transaction, challenge } = await openTransaction(broker, client);
    const evidence = await device.evidence(challenge, client.origin);
    const body = {
      ...broker.client.evaluationBody(client, { subject: 'alice', transaction, evidence }),
      subject: { ...alice(), properties: { department: 'Sales', nested: { a: [1, null] } } },
      action: { ...signIn(), properties: { method: 'GET' } },
      resource: { ...application(), properties: { owner: 'bob' } },
      foo: 'bar',
      futureField: { nested: true },
    };
    expectTrusted(await readDecision(await send(body)));
  });

  it.each(['subject', 'action', 'resource'])('without %s is 400', async (member) => {
    const body = { ...minimal(), [member]: undefined };
    await expectProblem(await send(body), 400, 'field_invalid', member);
  });

  it.each<[string, object]>([
    ['subject.type', { subject: { id: 'alice' } }],
    ['subject.id', { subject: { type: 'user' } }],
    ['action.name', { action: {} }],
    ['resource.type', { resource: { id: 'a' } }],
    ['resource.id', { resource: { type: 'application' } }],
    ['subject', { subject: 'alice' }],
    ['subject', { subject: null }],
    ['subject', { subject: [] }],
    ['subject.id', { subject: { type: 'user', id: 7 } }],
    ['subject.id', { subject: { type: 'user', id: '' } }],
    ['subject.id', { subject: { type: 'user', id: 'x'.repeat(257) } }],
    ['action.name', { action: { name: 123 } }],
    ['context', { context: 'none' }],
    ['context', { context: [] }],
    ['context.transaction', { context: { transaction: 'short' } }],
    ['context.transaction', { context: { transaction: null } }],
    ['context.transaction', { context: { transaction: '' } }],
    ['context.evidence', { context: { evidence: 7 } }],
    ['context.evidence', { context: { evidence: null } }],
    ['context.subject_authenticated', { context: { subject_authenticated: 'true' } }],
    ['context.subject_authenticated', { context: { subject_authenticated: 1 } }],
  ])('#68 with a wrong %s is 400 and names it', async (field, wrong) => {
    await expectProblem(await send({ ...minimal(), ...wrong }), 400, 'field_invalid', field);
  });

  it('that is empty, malformed or of another media type is 400', async () => {
    await expectProblem(await send(''), 400, 'json_malformed');
    await expectProblem(await send('{"subject":'), 400, 'json_malformed');
    for (const type of ['text/plain', 'application/xml', 'application/x-www-form-urlencoded']) {
      const response = await send(minimal(), { 'Content-Type': type });
      await expectProblem(response, 400, 'content_type_unsupported');
    }
  });

  it('of an unknown type, action or application is a decision against it, not an error', async () => {
    const decide = async (change: object) =>
      await readDecision(await send({ ...minimal(), ...change }));
    expectDenied(await decide({ subject: { type: 'robot', id: 'r2' } }), 'subject_type_unknown');
    expectDenied(await decide({ action: { name: 'read' } }), 'action_unknown');
    expectDenied(
      await decide({ resource: { type: 'application', id: 'nothing' } }),
      'application_unknown',
    );
    const response = await send({ ...minimal(), resource: { type: 'record', id: 'r1' } });
    expect(accessAnswer.parse(await response.json())).toMatchObject({
      decision: false,
      context: { reason_code: 'resource_type_unknown', policy: { version: 0, rule: 'none' } },
    });
  });
});

describe('an answer', () => {
  it('is 200 with a boolean decision and an object as context, for a denial too', async () => {
    const response = await send(minimal());
    expect(response.status).toBe(200);
    expect(response.headers.get('Content-Type')).toMatch(/^application\/json/);
    expect(await response.json()).toMatchObject({
      decision: false,
      context: {
        reason_code: 'evidence_missing',
        reason_admin: { en: expect.any(String) },
        reason_user: { en: expect.any(String) },
        decision_id: expect.stringMatching(/^\d+\.\d+$/),
        policy: { version: expect.any(Number), rule: 'none' },
        device_trusted: false,
      },
    });
  });

  it('repeats the request id, of a decision and of an error', async () => {
    for (const id of ['bfe9eb29-ab87-4ca3-be83-a1d5d8305716', 'any text: 100% [ok]']) {
      for (const body of [minimal(), {}, '']) {
        const response = await send(body, { 'X-Request-ID': id });
        expect(response.headers.get('X-Request-ID')).toBe(id);
      }
      const refused = await broker.client.post('/access/v1/evaluation', {}, { 'X-Request-ID': id });
      expect([refused.status, refused.headers.get('X-Request-ID')]).toEqual([401, id]);
    }
  });

  it('has the same decision each time that the same request is sent', async () => {
    const { transaction, challenge } = await openTransaction(broker, client);
    const evidence = await device.evidence(challenge, client.origin);
    const body = broker.client.evaluationBody(client, { subject: 'alice', transaction, evidence });
    for (let time = 0; time < 5; time++) expectTrusted(await readDecision(await send(body)));
    for (let time = 0; time < 5; time++) {
      expectDenied(await readDecision(await send(minimal())), 'evidence_missing');
    }
  });

  it('says which policy decided, and changes with it', async () => {
    const monitored = await broker.client.registerClient({ enforcement: 'monitor' });
    const transaction = randomText();
    const observed = await broker.client.evaluate(monitored, { transaction });
    // No challenge opened: nothing to allow, not even where the policy only watches.
    expectDenied(observed, 'evidence_missing');

    const { transaction: opened, challenge } = await openTransaction(broker, monitored);
    const answer = await broker.client.evaluate(monitored, {
      transaction: opened,
      evidence: `v1~${challenge}~~~host_not_installed`,
    });
    expect(answer).toMatchObject({
      decision: true,
      context: { reason_code: 'monitor_only', device_trusted: false },
    });
    const allowed = await broker.client.signIn(monitored, device, 'alice');
    expectTrusted(allowed);
    expect(allowed.context.policy.rule).toBe('trusted-devices');
  });
});

describe('#17 a client that is refused too often', () => {
  it('is told to wait, and its good sign-ins still count', async () => {
    const careless = await broker.client.registerClient();
    const body = { ...minimal(), resource: { type: 'application', id: careless.application } };
    const statuses = new Map<number, number>();
    let limited: Response | undefined;
    for (let batch = 0; batch < 15; batch++) {
      const responses = await Promise.all(
        Array.from({ length: 10 }, () => broker.client.sendEvaluation(careless, body)),
      );
      for (const response of responses) {
        statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
        if (response.status === 429) limited = response;
      }
    }
    expect([...statuses.keys()].sort()).toEqual([200, 429]);
    expect(statuses.get(200)).toBeLessThanOrEqual(120);
    expect(limited?.headers.get('Retry-After')).toMatch(/^\d+$/);
    if (limited !== undefined) await expectProblem(limited, 429, 'rate_limited');
    expectTrusted(await broker.client.signIn(careless, device, 'alice'));
    expectDenied(await readDecision(await send(minimal())), 'evidence_missing');
  });
});

describe('completions', () => {
  it('complete nothing where nothing is pending', async () => {
    const body = {
      ...minimal(),
      context: { transaction: randomText(), subject_authenticated: true },
    };
    const authorization = {
      Authorization: `Basic ${btoa(`${client.clientId}:${client.clientSecret}`)}`,
    };
    const response = await broker.client.post('/v1/completions', body, authorization);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      decision: false,
      context: { reason_code: 'evidence_missing' },
    });
    const anonymous = await broker.client.post('/v1/completions', body);
    await expectProblem(anonymous, 401, 'client_authentication_failed');
  });
});
