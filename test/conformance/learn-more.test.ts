// The link that goes with a refusal: set by administrators, https alone, on every answer that lets nobody in.
import { learnMoreAnswer } from '@countersign/protocol/learn-more';
import { createCountersignClient } from '@countersign/sso-sdk/server';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AdminDesk } from '../support/admin-command.ts';
import { enrollDevice } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

const url = 'https://it.example.com/devices?from=sign-in#managed';

let broker: TestBroker;
let desk: AdminDesk;
let client: TestClient;
let waiting: TestClient;
let device: FakeDevice;

beforeAll(async () => {
  broker = await TestBroker.start();
  desk = new AdminDesk(broker.url, broker.server.ownerToken);
  client = await broker.client.registerClient();
  waiting = await broker.client.registerClient({ other_devices: 'step_up' });
  device = await enrollDevice(broker);
});
afterAll(async () => {
  desk?.remove();
  await broker?.stopAndRemove();
});

const path = '/v1/admin/learn-more';
const put = (learn_more_url: unknown) => broker.client.admin('PUT', path, { learn_more_url });
const current = async () =>
  learnMoreAnswer.parse(await (await broker.client.admin('GET', path)).json()).learn_more_url;
const withoutDevice = async (as: TestClient) => {
  const transaction = randomText();
  const unverifiedChallenge = await broker.client.challenge(as, transaction);
  const evidence = `v1~${unverifiedChallenge}~~~extension_not_installed`;
  return await broker.client.evaluate(as, { transaction, evidence });
};

it('is none at first, and then no answer has one', async () => {
  expect(await current()).toBe('');
  expect((await withoutDevice(client)).context).not.toHaveProperty('learn_more_url');
});

it.each([
  'javascript:alert(1)',
  'data:text/html,x',
  'http://it.example.com',
  '//evil.example.com',
  'https://user:secret@it.example.com',
  ' https://it.example.com',
  'https://it.example.com/"><script>',
  7,
  null,
])('#63 is not set to %j, and the answer names the member', async (wrong) => {
  const response = await put(wrong);
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({
    code: 'field_invalid',
    field: 'learn_more_url',
  });
  expect(await current()).toBe('');
});

it('is set by command, and is on denials and on what waits for a factor, not on what was allowed', async () => {
  expect(await desk.done('learn-more', 'set', url)).toMatch(/changed +yes/);
  expect(await desk.done('learn-more', 'set', url)).toMatch(/changed +no/);
  expect(await desk.done('learn-more', 'show')).toContain(url);
  const denied = await withoutDevice(client);
  expect(denied).toMatchObject({ decision: false, context: { learn_more_url: url } });
  const pending = await withoutDevice(waiting);
  expect(pending).toMatchObject({
    decision: false,
    context: { reason_code: 'step_up_required', learn_more_url: url },
  });
  const refused = await broker.client.evaluate(client, { transaction: randomText() });
  expect(refused).toMatchObject({ decision: false, context: { learn_more_url: url } });
  const allowed = await broker.client.signIn(client, device);
  expect(allowed.decision).toBe(true);
  expect(allowed.context).not.toHaveProperty('learn_more_url');
});

it('is there for the sign-in server with the reason for the person', async () => {
  const { clientId, clientSecret, application } = client;
  const server = createCountersignClient({
    brokerUrl: broker.url,
    clientId,
    authentication: { clientSecret },
  });
  const transaction = randomText();
  const input = { subject: 'ada', application, transaction, subjectAuthenticated: true };
  expect(await server.evaluate(input)).toMatchObject({ decision: false, learnMoreUrl: url });
});

it('is taken away, and the reason comes without it', async () => {
  expect(await desk.done('learn-more', 'clear')).toContain('no link');
  const { context } = await withoutDevice(client);
  expect(context).not.toHaveProperty('learn_more_url');
  expect(context.reason_user.en).not.toBe('');
});
