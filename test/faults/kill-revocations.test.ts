// kill -9 of workerd while a revocation is under way: by certificate, by device, by user, by integration; from the order
// to its publication and the blocking of keys. What is begun is finished without being asked again, and what is finished
// stays so: the list and OCSP say revoked, and the key is enrolled by nobody.
import type { EnrollmentAnswer } from '@countersign/protocol/enrollment';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { FaultBroker, type FaultPoint, killWorkerd } from '../support/faults/fault-broker.ts';
import { InventoryIntegration } from '../support/inventory-integration.ts';
import { publishedStatus } from '../support/published-status.ts';
import { certificateOf } from '../support/sign-in-attempt.ts';

let faults: FaultBroker;
let client: TestClient;
beforeAll(async () => {
  faults = await FaultBroker.start({ shardCount: 2 });
  client = await faults.broker.client.registerClient();
});
afterAll(() => faults?.stopAndRemove());

/** A device that is bound to a user, and an order that ends it. */
type Victim = {
  readonly device: FakeDevice;
  readonly user: string;
  readonly enrolled: EnrollmentAnswer;
  /** Throws unless it is answered with success. */
  readonly revoke: () => Promise<unknown>;
  /** Is the order on record? Then nobody needs to give it again. */
  readonly isOrdered: () => Promise<boolean>;
  /** Why it is denied afterwards. */
  readonly reason: RegExp;
};

async function bindDevice(integration?: InventoryIntegration) {
  const { client: asked } = faults.broker;
  const device = await FakeDevice.create({ serial_number: `KILL${crypto.randomUUID()}` });
  await integration?.putInventory([device]);
  const enrolled = await (integration ?? asked).enroll(device);
  const user = `user-${randomText(8)}`;
  const { decision, context } = await asked.signIn(client, device, user);
  expect(decision, context.reason_code).toBe(true);
  return { device, user, enrolled };
}

const statusOf = async (device: FakeDevice) => (await certificateOf(faults.broker, device)).status;

async function byCertificate(): Promise<Victim> {
  const bound = await bindDevice();
  const { device } = bound;
  const { fingerprint_sha256 } = await certificateOf(faults.broker, device);
  return {
    ...bound,
    revoke: () => faults.broker.client.revoke(device.deviceId ?? '', fingerprint_sha256),
    isOrdered: async () => (await statusOf(device)) === 'revoked',
    reason: /^certificate_revoked$/,
  };
}

async function byDevice(): Promise<Victim> {
  const bound = await bindDevice();
  const { device } = bound;
  const order = { reason: 'keyCompromise', block: 'stolen' };
  return {
    ...bound,
    revoke: async () => {
      const path = `/v1/admin/devices/${device.deviceId}/revoke`;
      const answer = await faults.broker.client.admin('POST', path, order);
      if (!answer.ok) throw new Error(await answer.text());
    },
    isOrdered: async () => (await statusOf(device)) === 'revoked',
    reason: /^(certificate_revoked|device_blocked)$/,
  };
}

async function byUser(): Promise<Victim> {
  const bound = await bindDevice();
  const { client: asked } = faults.broker;
  return {
    ...bound,
    revoke: () => asked.revokeUser(bound.user),
    isOrdered: async () => (await asked.user(bound.user)).epoch === 2,
    reason: /^(certificate_revoked|user_revoked)$/,
  };
}

async function byIntegration(): Promise<Victim> {
  const { client: asked } = faults.broker;
  const integration = await InventoryIntegration.create(asked);
  return {
    ...(await bindDevice(integration)),
    revoke: () => integration.delete(),
    isOrdered: async () => (await asked.admin('GET', integration.path)).status === 404,
    reason: /^(certificate_revoked|integration_deleted)$/,
  };
}

/** It is denied, and on record as revoked. */
async function expectEnded({ device, user, reason }: Victim): Promise<void> {
  const { client: asked } = faults.broker;
  const { decision, context } = await asked.signIn(client, device, user);
  expect(decision).toBe(false);
  expect(context.reason_code).toMatch(reason);
  expect(await statusOf(device)).toBe('revoked');
}

/** Its key is enrolled by nobody, and everybody can know. */
async function expectToldEverywhere({ device, enrolled }: Victim): Promise<void> {
  const { client: asked } = faults.broker;
  expect(await publishedStatus(asked.brokerUrl, enrolled)).toEqual({
    ocsp: 'revoked',
    isListed: true,
  });
  const elsewhere = { serial_number: `ELSE${crypto.randomUUID()}` };
  for (const hardware_id of [device.hardwareId, elsewhere]) {
    const { enrollment_token } = await asked.createEnrollmentToken(hardware_id);
    const request = device.enrollmentRequest(enrollment_token);
    const again = await asked.post('/v1/enrollments', { ...request, hardware_id });
    expect(await again.text()).toMatch(/"code":"(key_blocked|device_blocked)"/);
  }
}

/** By itself, soon. */
const toldEverywhere = (victim: Victim) =>
  vi.waitFor(() => expectToldEverywhere(victim), { timeout: 20_000, interval: 100 });

/**
 * What an order passes until the last has heard of it, each point by its first time. All of them, or those that the
 * order alone passes and those that stand for the ways in which others are told.
 */
const isFull = process.env.COUNTERSIGN_KILL_POINTS === 'all';
const told = /^(RevocationObject\.(publish|alarm)|KeyObject\.block)\b/;
const carriesOn = /^(DeviceObject|OrganizationObject)\.alarm\b/;

type Order = {
  readonly make: () => Promise<Victim>;
  /** Its own steps. */
  readonly steps: RegExp;
  /** Those of others that are tried in every run. */
  readonly others: RegExp;
};

const never = /(?!)/;
const orders: Record<string, Order> = {
  'by certificate': {
    make: byCertificate,
    steps: /^DeviceObject\.revokeCertificate\b/,
    others: /^KeyObject\.block: write 1 committed/,
  },
  'by device': {
    make: byDevice,
    steps: /^(DeviceObject\.revokeDevice\b|worker: answer made)/,
    others: /^(RevocationObject\.publish\b|KeyObject\.block\b|RevocationObject\.alarm: signed)/,
  },
  'by user': {
    make: byUser,
    steps: /^(OrganizationObject\.revokeUser|DeviceObject\.buryUser)\b/,
    others: /^(KeyObject\.block|DeviceObject\.alarm): write 1/,
  },
  'by integration': {
    make: byIntegration,
    steps: /^(OrganizationObject\.deleteIntegration|DeviceObject\.buryIntegration)\b/,
    others: never,
  },
};

function pointsOf({ steps, others }: Order, all: readonly FaultPoint[]): FaultPoint[] {
  return all.filter(({ point, passes }) => {
    if (passes > 0) return false;
    if (isFull) return [steps, others, told, carriesOn].some((some) => some.test(point));
    return (steps.test(point) || others.test(point)) && !point.endsWith(': done');
  });
}

const ended: Victim[] = [];

describe.each(Object.entries(orders))('a revocation %s', (_, order) => {
  it('#36 #37 #38 is finished after kill -9 at any point', async () => {
    const model = await order.make();
    const all = await faults.record(async () => {
      await model.revoke();
      await toldEverywhere(model);
    });
    const points = pointsOf(order, all);
    expect(points.filter(({ point }) => order.steps.test(point)).length).toBeGreaterThan(1);
    for (const fault of points) {
      const where = `after a kill at "${fault.point}"`;
      let isReported = false;
      const victim = await faults.killAt(fault, order.make, async ({ revoke }) => {
        isReported = false;
        await revoke();
        isReported = true;
      });
      const isOrdered = await victim.isOrdered();
      if (isReported) expect(isOrdered, where).toBe(true);
      // What is on record goes on by itself.
      if (!isOrdered) await victim.revoke();
      // Who has no answer asks again, and that changes nothing.
      if (isOrdered && !isReported) await victim.revoke();
      await toldEverywhere(victim).catch((error: unknown) => {
        throw new Error(where, { cause: error });
      });
      await expectEnded(victim);
      ended.push(victim);
    }
  });
});

describe('what was finished', () => {
  it('#36 #37 stays so, whatever is killed afterwards', async () => {
    await killWorkerd(faults.broker);
    await Promise.all(ended.map(expectEnded));
    for (const victim of ended) await expectToldEverywhere(victim);
    expect(await faults.broker.brokenRows()).toEqual([]);
  });
});
