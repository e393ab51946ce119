// What a device management says of how its devices are kept, from its inventory to where decisions are made.
import { randomUUID } from 'node:crypto';
import { deviceAnswer } from '@countersign/protocol/admin';
import { enrollmentAnswer } from '@countersign/protocol/enrollment';
import { type FakeJamfPro, startFakeJamfPro } from '@countersign/testkit/fake-jamf-pro';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  type CreatedIntegration,
  createIntegration,
  newDevice,
  newSerialNumber,
  sendEnrollment,
  startManagedBroker,
} from '../support/managed-world.ts';
import type { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
let stop: () => Promise<void>;
let jamf: FakeJamfPro;
let integration: CreatedIntegration;

beforeAll(async () => {
  jamf = await startFakeJamfPro();
  ({ broker, stop } = await startManagedBroker(jamf.certificatePem));
  integration = await createIntegration(broker, {
    connection: {
      kind: 'jamf_pro',
      tenant_url: jamf.url,
      authentication: { method: 'client_credentials', client_id: jamf.clientId },
    },
    credentials: { secret: jamf.clientSecret },
  });
});
afterAll(async () => {
  await stop?.();
  await jamf?.stop();
});

it('comes with the certificate, and again when an event has the device looked up', async () => {
  const [serialNumber, udid] = [newSerialNumber(), randomUUID().toUpperCase()];
  const computer = { serialNumber, udid, managed: true, lastContactMs: Date.now() };
  jamf.computers.set('one', computer);
  const device = await newDevice(serialNumber, udid);
  const enrolled = await sendEnrollment(broker, integration, device);
  const { device_id } = enrollmentAnswer.parse(await enrolled.json());
  const reported = async () => {
    const answer = await broker.client.admin('GET', `/v1/admin/devices/${device_id}`);
    return deviceAnswer.parse(await answer.json()).posture?.mdm;
  };
  expect(await reported()).toEqual({
    // Nobody has put the integration to use yet.
    counts: false,
    reported_at: new Date(computer.lastContactMs).toISOString(),
    disk_encryption: true,
    firewall: true,
    platform: 'macos',
    os_version: '14.5',
  });
  const path = `/v1/admin/integrations/${integration.id}/state`;
  const state = { state: { mode: 'all_users' } };
  expect((await broker.client.admin('PUT', path, state)).status).toBe(200);

  const reportMs = Date.now();
  jamf.computers.set('one', {
    ...computer,
    reportMs,
    firewallEnabled: false,
    fileVaultState: 'DECRYPTING',
    osVersion: '15.2 (24C101)',
  });
  const sent = await jamf.sendWebhook(
    `${integration.webhookUrl}/jamf-webhook`,
    'ComputerInventoryCompleted',
    { serialNumber, udid },
    { 'X-Webhook-Secret': integration.webhookSecret },
  );
  expect(await sent.json()).toEqual({ devices: 1 });
  await expect.poll(reported, { timeout: 10_000, interval: 200 }).toEqual({
    counts: true,
    reported_at: new Date(reportMs).toISOString(),
    disk_encryption: false,
    firewall: false,
    platform: 'macos',
    os_version: '15.2',
  });
});
