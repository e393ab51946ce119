// #72: any JSON value in any place of a good request. Whatever it is, the answer is one of those that are documented.
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectStandardHeaders } from '../support/expect-answer.ts';
import { enrollDevice, openTransaction } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

const runs = 250;
/** The same values in every run: what is found here must be found again. */
const seed = 20_261_121;

let broker: TestBroker;
let client: TestClient;
let device: FakeDevice;

beforeAll(async () => {
  broker = await TestBroker.start();
  client = await broker.client.registerClient();
  device = await enrollDevice(broker);
});
afterAll(() => broker?.stopAndRemove());

type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** Every place in a value, as the path to it. */
function placesIn(value: Json, path: readonly string[] = []): string[][] {
  const inside =
    typeof value === 'object' && value !== null
      ? Object.entries(value).flatMap(([name, member]) => placesIn(member, [...path, name]))
      : [];
  return [[...path], ...inside];
}

function replaceAt(value: Json, path: readonly string[], replacement: Json | undefined): Json {
  const [name, ...rest] = path;
  if (name === undefined) return replacement ?? null;
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).flatMap(([key, member]): [string, Json][] => {
    if (key !== name) return [[key, member]];
    if (rest.length === 0 && replacement === undefined) return [];
    return [[key, replaceAt(member, rest, replacement)]];
  });
  return Array.isArray(value) ? members.map(([, member]) => member) : Object.fromEntries(members);
}

const hostileText = fc.constantFrom(
  '__proto__',
  'constructor',
  '',
  ' ',
  '\u0000',
  '\ud800',
  '\u202e',
  '../..',
  "' OR 1=1 --",
  '-1',
  'null',
  'A'.repeat(300),
  'AAAA',
  '~~~~',
  '%00',
  'https://*',
);
const hostileValue = fc.oneof(
  hostileText,
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom(-1, 0, 1e308, 2 ** 53, 0.5, -0, true, null),
  fc.constant(undefined),
);

type Target = {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Json;
};

async function targets(): Promise<Record<string, Target>> {
  const owner = { Authorization: `Bearer ${broker.server.ownerToken}` };
  const asClient = {
    Authorization: `Basic ${btoa(`${client.clientId}:${client.clientSecret}`)}`,
  };
  const fresh = await FakeDevice.create();
  const token = await broker.client.createEnrollmentToken(fresh.hardwareId);
  const { transaction, challenge } = await openTransaction(broker, client);
  const evidence = await device.evidence(challenge, client.origin);
  const evaluation = JSON.parse(
    JSON.stringify(broker.client.evaluationBody(client, { transaction, evidence })),
  );
  return {
    challenge: {
      method: 'POST',
      path: '/v1/challenges',
      headers: { Origin: client.origin },
      body: { client_id: client.clientId, transaction },
    },
    enrollment: {
      method: 'POST',
      path: '/v1/enrollments',
      headers: {},
      body: JSON.parse(JSON.stringify(fresh.enrollmentRequest(token.enrollment_token))),
    },
    evaluation: {
      method: 'POST',
      path: '/access/v1/evaluation',
      headers: asClient,
      body: evaluation,
    },
    completion: { method: 'POST', path: '/v1/completions', headers: asClient, body: evaluation },
    'fail-open reports': {
      method: 'POST',
      path: '/v1/fail-open-reports',
      headers: asClient,
      body: {
        reports: [
          {
            report_id: randomText(16),
            application: client.application,
            subject: 'ada',
            occurred_at: new Date().toISOString(),
            cause: 'broker_timeout',
            statement_id: randomText(16),
          },
        ],
      },
    },
    'learn more': {
      method: 'PUT',
      path: '/v1/admin/learn-more',
      headers: owner,
      body: { learn_more_url: 'https://it.example.com/devices' },
    },
    application: {
      method: 'PUT',
      path: '/v1/admin/applications/fuzzed',
      headers: owner,
      body: { name: 'Fuzzed', enforcement: 'enforce' },
    },
    client: {
      method: 'PUT',
      path: '/v1/admin/clients/fuzzed',
      headers: owner,
      body: {
        name: 'Fuzzed',
        origins: ['https://fuzzed.example.com'],
        applications: [client.application],
        authentication: { method: 'client_secret', secret_sha256: randomText() },
      },
    },
    'enrollment token': {
      method: 'POST',
      path: '/v1/admin/enrollment-tokens',
      headers: owner,
      body: { hardware_id: { serial_number: 'FUZZ1234' }, ttl_seconds: 60 },
    },
    revocation: {
      method: 'POST',
      path: `/v1/admin/devices/${device.deviceId}/certificates/${'A'.repeat(43)}/revoke`,
      headers: owner,
      body: { reason: 'keyCompromise' },
    },
  };
}

describe('#72 hostile values', () => {
  it.each([
    'challenge',
    'enrollment',
    'evaluation',
    'completion',
    'fail-open reports',
    'learn more',
    'application',
    'client',
    'enrollment token',
    'revocation',
  ])(
    'in a request for %s are answered in order',
    async (name) => {
      const target = (await targets())[name];
      if (target === undefined) throw new Error(`there is no ${name}`);
      const places = placesIn(target.body);
      await fc.assert(
        fc.asyncProperty(fc.constantFrom(...places), hostileValue, async (place, value) => {
          const body = replaceAt(target.body, place, toJson(value));
          const response = await broker.client.request(target.path, {
            method: target.method,
            headers: { 'Content-Type': 'application/json', ...target.headers },
            body: JSON.stringify(body),
          });
          const text = await response.text();
          expect(response.status, text).toBeLessThan(500);
          expectStandardHeaders(response);
          // What is wrong is named: a field, or for text that no field can hold, the rule.
          if (response.status === 400) expect(text).toMatch(/"(field|detail)":"[^"]+"/);
        }),
        { seed, numRuns: runs, endOnFailure: true },
      );
    },
    60_000,
  );

  it('have left every record as it should be', async () => {
    expect(await broker.brokenRows()).toEqual([]);
    expect((await broker.client.request('/healthz')).status).toBe(200);
    const signedIn = await broker.client.signIn(client, device, 'somebody-else');
    // The device was bound by one of the requests or by none; nobody else has it in the first case.
    const [certificate] = (await broker.client.device(device.deviceId ?? '')).certificates;
    expect(certificate?.bound_user === 'somebody-else').toBe(signedIn.decision);
  });
});

/** What JSON makes of a value; `undefined` stays, for a member that is left out. */
function toJson(value: unknown): Json | undefined {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}
