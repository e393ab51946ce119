import { env, evictDurableObject } from 'cloudflare:test';
import { renewalAnswer } from '@countersign/protocol/enrollment';
import type { TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { firstBrokenRow } from '@countersign/testkit/verify-chain';
import { parseCertificate } from '@countersign/x509';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { broker } from './test-broker.ts';
import { shardCount, shardObject, sqlInShard } from './test-objects.ts';

// A fleet that renews for a year: the clock moves day by day, one answer in a hundred is lost, some devices are away for
// weeks, and every week a shard starts anew. The long form has 2,000 devices (see test/README.md).

declare global {
  namespace Cloudflare {
    interface Env {
      readonly TEST_RENEWAL_DEVICES: string;
      readonly TEST_RENEWAL_SEED: string;
    }
  }
}

const deviceCount = Number(env.TEST_RENEWAL_DEVICES);
const seed = Number(env.TEST_RENEWAL_SEED);
const dayMs = 86_400_000;
const lostAnswers = 0.01;

/** Mulberry32: the same days for the same seed. */
function randomFrom(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

type Simulated = {
  readonly device: FakeDevice;
  readonly user: string;
  renewAfterMs: number;
  awayUntilDay: number;
};

let client: TestClient;
let integrationId: string;

beforeAll(async () => {
  client = await broker.registerClient();
  const created = await broker.admin('POST', '/v1/admin/integrations', {
    name: 'Thirty days',
    authority: 'one_time_token',
    profile: '30d',
    connection: { kind: 'inventory_file' },
  });
  const body = (await created.json()) as { integration: { integration_id: string } };
  integrationId = body.integration.integration_id;
  const path = `/v1/admin/integrations/${integrationId}/state`;
  await broker.admin('PUT', path, { state: { mode: 'all_users' } });
});
afterAll(() => {
  vi.useRealTimers();
});

const serialOf = (index: number) => `YEAR${String(index).padStart(6, '0')}`;

async function enrollFleet(): Promise<Simulated[]> {
  const object = env.INTEGRATION.get(env.INTEGRATION.idFromName(integrationId));
  await object.putInventory(
    Array.from({ length: deviceCount }, (_, index) => ({
      serialNumber: serialOf(index),
      hardwareUuid: '',
    })),
  );
  const fleet: Simulated[] = [];
  for (let index = 0; index < deviceCount; index++) {
    const hardwareId = { serial_number: serialOf(index) };
    const device = await FakeDevice.create(hardwareId);
    const token = await broker.admin('POST', '/v1/admin/enrollment-tokens', {
      hardware_id: hardwareId,
      ttl_seconds: 600,
      integration_id: integrationId,
    });
    const { enrollment_token } = (await token.json()) as { enrollment_token: string };
    const { renew_after } = await broker.enroll(device, enrollment_token);
    const user = `user-${index}`;
    // One in ten is never signed in with: its line of certificates stays unbound.
    if (index % 10 !== 0) expect((await broker.signIn(client, device, user)).decision).toBe(true);
    fleet.push({ device, user, renewAfterMs: Date.parse(renew_after), awayUntilDay: 0 });
  }
  return fleet;
}

/** What a host does each day; `true` when the broker answered, whether or not the answer arrived. */
async function renewIfDue(simulated: Simulated, random: () => number): Promise<boolean> {
  if (Date.now() < simulated.renewAfterMs) return false;
  const response = await broker.sendRenewal(simulated.device);
  const text = await response.text();
  expect(response.status, text).toBe(200);
  if (random() < lostAnswers) return true;
  const answer = renewalAnswer.parse(JSON.parse(text));
  simulated.device.certificate = Buffer.from(answer.certificate, 'base64url');
  simulated.renewAfterMs = Date.parse(answer.renew_after);
  return true;
}

async function restartAShard(random: () => number): Promise<void> {
  const restarted = shardObject(Math.floor(random() * shardCount));
  // Only one that runs can be restarted.
  await restarted.stateMark();
  await evictDurableObject(restarted);
}

function expectValid({ device }: Simulated): void {
  const parsed = parseCertificate(device.certificate ?? new Uint8Array());
  expect(parsed.ok && parsed.value.notAfterMs > Date.now()).toBe(true);
}

describe('a year', () => {
  it(`of ${deviceCount} devices leaves none without a valid certificate`, {
    timeout: 600_000 + deviceCount * 1_000,
  }, async () => {
    const random = randomFrom(seed);
    const startMs = Date.now();
    const fleet = await enrollFleet();
    let answered = 0;
    for (let day = 1; day <= 365; day++) {
      vi.useFakeTimers({ toFake: ['Date'], now: startMs + day * dayMs });
      if (day % 7 === 0) await restartAShard(random);
      for (const simulated of fleet) {
        // Away for up to nine days: less than what is left of a certificate when its renewal is due.
        if (day >= simulated.awayUntilDay + 30 && random() < 0.002) {
          simulated.awayUntilDay = day + 1 + Math.floor(random() * 9);
        }
        if (day < simulated.awayUntilDay) continue;
        if (await renewIfDue(simulated, random)) answered += 1;
        expectValid(simulated);
      }
      const chosen = fleet[Math.floor(random() * fleet.length)];
      if (chosen !== undefined && !chosen.device.hardwareId.serial_number?.endsWith('0')) {
        const { decision, context } = await broker.signIn(client, chosen.device, chosen.user);
        expect(decision, `day ${day}: ${context.reason_code}`).toBe(true);
      }
    }
    await expectNoDrift(fleet);
    // Thirty days, renewed every two weeks: 26 times, a few fewer where a device was away.
    expect(answered / deviceCount).toBeGreaterThan(22);
  });
});

async function expectNoDrift(fleet: readonly Simulated[]): Promise<void> {
  for (const { device, user } of fleet) {
    const { certificates, unbound_certificates } = await broker.device(device.deviceId ?? '');
    const isBound = device.hardwareId.serial_number?.endsWith('0') === false;
    expect(unbound_certificates).toBe(isBound ? 0 : 1);
    expect(new Set(certificates.map(({ lineage }) => lineage)).size).toBe(1);
    expect(new Set(certificates.map(({ bound_user }) => bound_user))).toEqual(
      new Set([isBound ? user : undefined]),
    );
    const standing = certificates.filter(({ status }) => status !== 'superseded');
    expect(standing.map(({ status }) => status)).toEqual([isBound ? 'bound' : 'issued']);
    expect(new Set(certificates.map(({ serial_number }) => serial_number)).size).toBe(
      certificates.length,
    );
  }
  for (let shard = 0; shard < shardCount; shard++) {
    const { rows, head, start } = await broker.decisions(shard);
    expect(firstBrokenRow(rows, head, start)).toBeUndefined();
    const [{ intents } = { intents: 0 }] = await sqlInShard(
      shard,
      `SELECT COUNT(*) AS intents FROM certificates WHERE status = 'intent'`,
    );
    expect(intents).toBe(0);
  }
}
