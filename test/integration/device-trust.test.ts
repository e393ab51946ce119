import {
  deviceTrustAnswer,
  deviceTrustChangeAnswer,
} from '@countersign/protocol/admin-device-trust';
import { inUseProblem } from '@countersign/protocol/admin-integrations';
import type { TestClient } from '@countersign/testkit/broker-client';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { beforeAll, expect, it } from 'vitest';
import { answerOf, eventCount, eventsAfter, expectRefusal } from './test-administration.ts';
import { broker } from './test-broker.ts';
import { enrolledInShard, newUser } from './test-users.ts';

// Device trust, with all integrations and what belongs to none.

let client: TestClient;
beforeAll(async () => {
  client = await broker.registerClient();
});

const decisionOf = async (device: FakeDevice, user: string) => {
  const { decision, context } = await broker.signIn(client, device, user);
  return [decision, context.reason_code];
};

it('is switched off and on as a whole: what would break is said before, and nothing is revoked', async () => {
  const put = (enabled: boolean, override?: boolean) =>
    broker.admin('PUT', '/v1/admin/device-trust', { enabled, override });
  const show = async () =>
    await answerOf(await broker.admin('GET', '/v1/admin/device-trust'), deviceTrustAnswer);
  const user = newUser();
  // Of no integration: switching one off would not reach it.
  const device = await enrolledInShard(1);
  expect(await decisionOf(device, user)).toEqual([true, 'trusted_device']);

  const before = await eventCount();
  const { problem } = await expectRefusal(await put(false), 409, 'device_trust_in_use');
  const { impact } = inUseProblem.parse(problem);
  expect(impact.applications.map(({ application_id }) => application_id)).toContain(
    client.application,
  );
  expect(impact.bound_certificates).toBeGreaterThan(0);
  expect(impact.steps).toHaveLength(2);
  expect(await show()).toMatchObject({ enabled: true, impact });
  expect(await eventCount()).toBe(before);
  expect(await decisionOf(device, user)).toEqual([true, 'trusted_device']);

  expect((await put(false, true)).status).toBe(200);
  expect(await decisionOf(device, user)).toEqual([false, 'device_trust_disabled']);
  expect((await show()).enabled).toBe(false);
  const again = await answerOf(await put(false), deviceTrustChangeAnswer);
  expect(again).toMatchObject({ enabled: false, changed: false });

  await broker.admin('PUT', '/v1/admin/mode', { read_only: true });
  await expectRefusal(await put(true), 503, 'read_only');
  await broker.admin('PUT', '/v1/admin/mode', { read_only: false });
  const on = await answerOf(await put(true), deviceTrustChangeAnswer);
  expect(on.takes_effect).toMatchObject({ bound_certificates: impact.bound_certificates });
  expect(await decisionOf(device, user)).toEqual([true, 'trusted_device']);
  expect(await eventsAfter(before)).toMatchObject([
    {
      event_type: 'admin.device_trust.update',
      debug_data: { enabled: 'false', override: 'true' },
    },
    { event_type: 'admin.mode.update' },
    { event_type: 'admin.mode.update' },
    { event_type: 'admin.device_trust.update', debug_data: { enabled: 'true' } },
  ]);
});
