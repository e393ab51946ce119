// A disk that gives other bytes than were written, in the database of one shard: that shard answers nobody, the others
// answer as before.
import { globSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { evaluationAnswer } from '@countersign/protocol/evaluation';
import { problemDocument } from '@countersign/protocol/problem';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { seededRandom } from '../support/seeded-random.ts';
import { enrollDevice } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

const random = seededRandom(20_261_121);
const devicesPerShard = 3;

let broker: TestBroker;
let client: TestClient;
/** By shard. */
let devices: FakeDevice[][];
beforeAll(async () => {
  broker = await TestBroker.start();
  client = await broker.client.registerClient();
  devices = Array.from({ length: broker.shardCount }, () => []);
  while (devices.some(({ length }) => length < devicesPerShard)) {
    const device = await enrollDevice(broker);
    const { context } = await broker.client.signIn(client, device, userOf(device));
    devices[Number(context.decision_id.split('.')[0])]?.push(device);
  }
});
afterAll(() => broker?.stopAndRemove());

const userOf = (device: FakeDevice) => `user-${device.deviceId}`;

/** The database of a shard, all of it in one file, while nobody has it open. */
function databaseOf(shard: number): string {
  const folder = join(broker.dataDirectory, 'durable-objects/countersign-device-v1');
  const found = globSync(join(folder, '*.sqlite')).find((path) => {
    const database = new DatabaseSync(path);
    try {
      database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
      const [row] = database
        .prepare("SELECT name FROM sqlite_master WHERE name = 'decisions'")
        .all();
      if (row === undefined) return false;
      const [decision] = database.prepare('SELECT record FROM decisions LIMIT 1').all();
      return JSON.parse(String(decision?.record ?? '{}')).shard === shard;
    } finally {
      database.close();
    }
  });
  if (found === undefined) throw new Error(`shard ${shard} has no database`);
  return found;
}

const pageBytes = 4096;
/** Each begins with whole bytes again. */
const damages: Record<string, (path: string) => void> = {
  'with a header of other bytes': (path) => {
    const bytes = readFileSync(path);
    for (let at = 0; at < 100; at++) bytes[at] = Math.floor(random() * 256);
    writeFileSync(path, bytes);
  },
  'with flipped bytes in every page': (path) => {
    const bytes = readFileSync(path);
    for (let page = pageBytes; page < bytes.length; page += pageBytes) {
      for (let flips = 0; flips < 400; flips++) {
        const at = page + Math.floor(random() * pageBytes);
        bytes[at] = (bytes[at] ?? 0) ^ (1 + Math.floor(random() * 255));
      }
    }
    writeFileSync(path, bytes);
  },
  'cut in half': (path) => truncateSync(path, Math.floor(readFileSync(path).length / 2)),
};

async function attempt(device: FakeDevice) {
  const transaction = randomText();
  const challenge = await broker.client.challenge(client, transaction);
  const evidence = await device.evidence(challenge, client.origin);
  const subject = userOf(device);
  const body = broker.client.evaluationBody(client, { subject, transaction, evidence });
  return await broker.client.sendEvaluation(client, body);
}

async function expectAllowed(device: FakeDevice): Promise<void> {
  const { decision, context } = evaluationAnswer.parse(await (await attempt(device)).json());
  expect(decision, context.reason_code).toBe(true);
}

async function expectRefused(sent: Promise<Response>): Promise<void> {
  const response = await sent;
  const text = await response.text();
  expect(text).toContain('"code":"storage_unavailable"');
  expect(problemDocument.parse(JSON.parse(text)).status).toBe(503);
  expect(response.status).toBe(503);
  expect(Number(response.headers.get('Retry-After'))).toBeGreaterThan(0);
}

it.each(Object.entries(damages))(
  'a shard %s refuses with 503 and keeps no other from answering',
  async (_, damage) => {
    const damagedShard = 1;
    await broker.stop();
    const path = databaseOf(damagedShard);
    const whole = readFileSync(path);
    damage(path);
    expect(readFileSync(path).equals(whole)).toBe(false);
    await broker.startAgain();
    try {
      const [damaged = [], others] = [
        devices[damagedShard],
        devices.filter((_, shard) => shard !== damagedShard).flat(),
      ];
      for (const device of damaged) await expectRefused(attempt(device));
      for (const device of others) await expectAllowed(device);
      const [first] = damaged;
      await expectRefused(broker.client.admin('GET', `/v1/admin/devices/${first?.deviceId}`));
      expect((await broker.client.request('/healthz')).status).toBe(200);
    } finally {
      await broker.stop();
      // From here on as if a backup had been put back.
      writeFileSync(path, whole);
      await broker.startAgain();
    }
    for (const device of devices.flat()) await expectAllowed(device);
    expect(await broker.brokenRows()).toEqual([]);
  },
);
