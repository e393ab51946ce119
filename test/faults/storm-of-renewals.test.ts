// A fleet that renews at once, because an administrator chose a shorter profile: each device has one successor in the
// end, keeps its user, and nobody is kept from signing in meanwhile.
import { setTimeout as sleep } from 'node:timers/promises';
import { type RenewalAnswer, renewalAnswer } from '@countersign/protocol/enrollment';
import type { TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { percentile } from '../bench/figures.ts';
import { InventoryIntegration } from '../support/inventory-integration.ts';
import { TestBroker } from '../support/test-broker.ts';

const deviceCount = Number(process.env.COUNTERSIGN_STORM_RENEWALS ?? 100);
const maxAttempts = 20;

let broker: TestBroker;
let client: TestClient;
beforeAll(async () => {
  broker = await TestBroker.start();
  client = await broker.client.registerClient();
});
afterAll(() => broker?.stopAndRemove());

type Member = { readonly device: FakeDevice; readonly user: string };

/** Enrolled through the integration, each bound to a user of its own. */
async function enrollFleet(integration: InventoryIntegration): Promise<Member[]> {
  const devices: FakeDevice[] = [];
  for (let index = 0; index < deviceCount; index++) {
    devices.push(await FakeDevice.create({ serial_number: `STORM${index + 10_000}` }));
  }
  await integration.putInventory(devices);
  const fleet = devices.map((device, index) => ({ device, user: `user-${index}` }));
  const lanes = Array.from({ length: 8 }, async (_, lane) => {
    for (const { device, user } of fleet.filter((_, index) => index % 8 === lane)) {
      await integration.enroll(device);
      const { decision, context } = await broker.client.signIn(client, device, user);
      expect(decision, context.reason_code).toBe(true);
    }
  });
  await Promise.all(lanes);
  return fleet;
}

/** Sends until it is renewed; only what says that it may be sent again is sent again. */
async function renew(device: FakeDevice): Promise<{ answer: RenewalAnswer; ms: number }> {
  const renewal_request = await device.renewalRequest(broker.url);
  const began = performance.now();
  for (let attempts = 1; attempts <= maxAttempts; attempts++) {
    const response = await broker.client.post('/v1/renewals', { renewal_request });
    const text = await response.text();
    if (response.ok) {
      const answer = renewalAnswer.parse(JSON.parse(text));
      return { answer, ms: performance.now() - began };
    }
    const retryAfter = Number(response.headers.get('Retry-After'));
    expect([429, 503], text).toContain(response.status);
    expect(retryAfter, text).toBeGreaterThan(0);
    await sleep(retryAfter * 1000 * (0.5 + Math.random()));
  }
  throw new Error(`not renewed after ${maxAttempts} attempts`);
}

async function expectSuccessors(fleet: readonly Member[]): Promise<void> {
  const described = await Promise.all(
    fleet.map(async ({ device, user }) => {
      const { certificates, unbound_certificates } = await broker.client.device(
        device.deviceId ?? '',
      );
      expect(unbound_certificates).toBe(0);
      expect(certificates.map(({ status }) => status)).toEqual(['superseded', 'bound']);
      expect(certificates.map(({ bound_user }) => bound_user)).toEqual([user, user]);
      expect(new Set(certificates.map(({ lineage }) => lineage)).size).toBe(1);
      return certificates.map(({ serial_number }) => serial_number);
    }),
  );
  expect(new Set(described.flat()).size).toBe(2 * deviceCount);
}

it(`gives each of ${deviceCount} devices that renew at once its one successor`, {
  timeout: 60_000 + deviceCount * 200,
}, async () => {
  const integration = await InventoryIntegration.create(broker.client, { profile: '1y' });
  const fleet = await enrollFleet(integration);
  await integration.change({ profile: '30d' });

  const began = performance.now();
  let isOver = false;
  const renewing = Promise.all(fleet.map(({ device }) => renew(device))).finally(() => {
    isOver = true;
  });
  // With the certificate that is being renewed: whoever signs in meanwhile has no other.
  let signIns = 0;
  do {
    const { device, user } = fleet[signIns % fleet.length] ?? {};
    if (device === undefined) throw new Error('the fleet has devices');
    const { decision, context } = await broker.client.signIn(client, device, user);
    expect(decision, context.reason_code).toBe(true);
    signIns += 1;
  } while (!isOver);
  const renewed = await renewing;
  const seconds = (performance.now() - began) / 1000;

  expect(new Set(renewed.map(({ answer }) => answer.certificate)).size).toBe(deviceCount);
  for (const { answer } of renewed) {
    expect(answer.renewed).toBe(true);
    // Of the shorter profile.
    expect(Date.parse(answer.renew_after) - Date.now()).toBeLessThan(30 * 86_400_000);
  }
  await expectSuccessors(fleet);
  // Once more by all: nothing is due, nothing is made.
  const again = await Promise.all(fleet.slice(0, 50).map(({ device }) => renew(device)));
  expect(again.every(({ answer }) => !answer.renewed)).toBe(true);
  await expectSuccessors(fleet);
  expect(await broker.brokenRows()).toEqual([]);

  const times = renewed.map(({ ms }) => ms);
  console.log(
    `${deviceCount} renewals in ${seconds.toFixed(1)} s, p50 ${percentile(times, 0.5).toFixed(0)} ms, p99 ${percentile(times, 0.99).toFixed(0)} ms; ${signIns} sign-ins meanwhile`,
  );
});
