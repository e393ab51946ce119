import { integrationDeletion } from '@countersign/protocol/admin-integrations';
import type { TestClient } from '@countersign/testkit/broker-client';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { afterEach, beforeAll, expect, it, vi } from 'vitest';
import { DeviceObject } from '../../worker/src/device/device-object.ts';
import { OrganizationObject } from '../../worker/src/directory/organization-object.ts';
import {
  answerOf,
  createIntegration,
  eventCount,
  eventsAfter,
  expectRefusal,
  issuedThrough,
  setState,
} from './test-administration.ts';
import { holdAlarms, ringAlarm } from './test-alarms.ts';
import { broker } from './test-broker.ts';
import { afterAlarm } from './test-jobs.ts';
import { organizationObject, shardCount, shardOf, sqlInShard } from './test-objects.ts';
import { enrolledInShard, newUser } from './test-users.ts';

// The deletion of an integration: at once for decisions, and then in every shard.

let client: TestClient;
beforeAll(async () => {
  client = await broker.registerClient();
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const travel = (seconds: number) => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + seconds * 1000 });
};

const decisionOf = async (device: FakeDevice, user: string) => {
  const { decision, context } = await broker.signIn(client, device, user);
  return [decision, context.reason_code];
};

const remove = (id: string) => broker.admin('DELETE', `/v1/admin/integrations/${id}?override=true`);

it('reaches every shard, and is complete when all have it on disk', async () => {
  const { integration } = await createIntegration();
  const id = integration.integration_id;
  const devices = [await enrolledInShard(0), await enrolledInShard(6)];
  for (const device of devices) await issuedThrough(device, id);
  await setState(id, { mode: 'all_users' });

  holdAlarms(OrganizationObject);
  const { buryIntegration } = DeviceObject.prototype;
  let isHeld = true;
  vi.spyOn(DeviceObject.prototype, 'buryIntegration').mockImplementation(async function (
    this: DeviceObject,
    integrationId,
  ) {
    if (isHeld) throw new Error('the shard does not answer');
    return await buryIntegration.call(this, integrationId);
  });
  const response = await remove(id);
  expect(response.status).toBe(202);
  const deletion = await answerOf(response, integrationDeletion);
  expect(deletion).toMatchObject({ integration_id: id, status: 'pending' });
  await ringAlarm(organizationObject());
  // Before any shard knows of it.
  for (const device of devices) {
    expect(await decisionOf(device, newUser())).toEqual([false, 'integration_deleted']);
  }
  expect(await broker.job(deletion.job_id)).toMatchObject({
    kind: 'integration',
    integration_id: id,
    reason: 'deleted',
    shards: { total: shardCount, reached: 0 },
  });
  isHeld = false;
  travel(120);
  const done = await afterAlarm(deletion.job_id);
  expect(done).toMatchObject({
    status: 'complete',
    shards: { total: shardCount, reached: shardCount },
  });
  for (const device of devices) {
    const rows = await sqlInShard(
      shardOf(device.deviceId),
      'SELECT DISTINCT status FROM certificates WHERE integration_id = ?',
      id,
    );
    expect(rows).toEqual([{ status: 'revoked' }]);
  }
  const again = await remove(id);
  expect(again.status).toBe(200);
  expect(await again.json()).toEqual({ ...deletion, status: 'complete' });
  const shown = await broker.admin('GET', `/v1/admin/integrations/${id}`);
  await expectRefusal(shown, 404, 'integration_not_found');
});

it('asked for twenty times at once is one', async () => {
  const { integration } = await createIntegration();
  const before = await eventCount();
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => remove(integration.integration_id)),
  );
  const jobs = await Promise.all(answers.map((answer) => answerOf(answer, integrationDeletion)));
  expect(new Set(jobs.map(({ job_id }) => job_id)).size).toBe(1);
  const events = await eventsAfter(before);
  expect(events.map(({ event_type }) => event_type)).toEqual(['admin.integration.delete']);
});
