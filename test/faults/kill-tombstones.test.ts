// kill -9 of workerd while a user's bindings end: at every named point of the fan-out, and at any moment. What is
// reported complete is on disk in every shard; whatever was cut off goes on by itself.
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { shardOfId } from '../../worker/src/device/placement.ts';
import { FaultBroker, type FaultPoint } from '../support/faults/fault-broker.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { enrollDevice } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

const seed = Number(process.env.COUNTERSIGN_FAULT_SEED ?? Date.now() % 1_000_000);
const rounds = Number(process.env.COUNTERSIGN_FAULT_ROUNDS ?? 10);
const random = seededRandom(seed);

type Bound = { readonly user: string; readonly devices: readonly FakeDevice[] };

/** Devices that were enrolled, and lie in a shard that had enough of them; they wait for the next users. */
const spareDevices = new WeakMap<TestBroker, FakeDevice[][]>();

/** Users who each have a certificate in every shard. */
async function bindUsers(broker: TestBroker, client: TestClient, count: number): Promise<Bound[]> {
  const { shardCount } = broker;
  const devices: FakeDevice[][] =
    spareDevices.get(broker) ?? Array.from({ length: shardCount }, () => []);
  spareDevices.set(broker, devices);
  while (devices.some(({ length }) => length < count)) {
    for (const device of await Promise.all(Array.from({ length: 8 }, () => enrollDevice(broker)))) {
      devices[shardOfId(device.deviceId ?? '', shardCount) ?? 0]?.push(device);
    }
  }
  const bound = Array.from({ length: count }, () => ({
    user: `user-${randomText(8)}`,
    devices: devices.flatMap((inShard) => inShard.splice(0, 1)),
  }));
  for (const { user, devices: own } of bound) {
    const answers = await Promise.all(
      own.map((device) => broker.client.signIn(client, device, user)),
    );
    expect(answers.map(({ decision }) => decision)).toEqual(own.map(() => true));
    expect((await broker.client.user(user)).bound_shards).toBe(shardCount);
  }
  return bound;
}

async function until(what: string, isSo: () => boolean | Promise<boolean>, limitMs = 30_000) {
  const deadline = performance.now() + limitMs;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await sleep(20);
  }
}

async function expectRevokedEverywhere(broker: TestBroker, client: TestClient, ended: Bound) {
  for (const device of ended.devices) {
    const { decision, context } = await broker.client.signIn(client, device, ended.user);
    expect([decision, context.device_trusted, context.reason_code]).toEqual([
      false,
      false,
      'user_revoked',
    ]);
  }
}

describe('a fan-out that is killed at a named point', () => {
  let faults: FaultBroker;
  let client: TestClient;
  beforeAll(async () => {
    faults = await FaultBroker.start({ shardCount: 3 });
    client = await faults.broker.client.registerClient();
  });
  afterAll(() => faults?.stopAndRemove());

  const jobsOf = async (user: string) => (await faults.broker.client.user(user)).jobs;

  /**
   * What the fan-out of one user surely passes. The alarm rings again when the job is complete, and the order's second
   * block is of the log that it is brought to.
   */
  function isOfFanOut({ point, passes }: FaultPoint): boolean {
    if (point.startsWith('DeviceObject.buryUser: ')) return passes < faults.broker.shardCount;
    return passes === 0 && /^OrganizationObject\.(revokeUser: (write 1 |done)|alarm: )/.test(point);
  }

  /** Revokes the user, and waits until every shard has acknowledged. */
  async function revoke(user: string): Promise<void> {
    const { client: admin } = faults.broker;
    const { job_id = '' } = await admin.revokeUser(user);
    await until('every shard is reached', async () => {
      const { shards } = await admin.job(job_id);
      return shards.reached === shards.total;
    });
  }

  it('#37 goes on by itself, and brings what it had not brought', async () => {
    const bindUser = async () => {
      const [bound] = await bindUsers(faults.broker, client, 1);
      if (bound === undefined) throw new Error('one user was asked for');
      return bound;
    };
    const model = await bindUser();
    const all = await faults.record(() => revoke(model.user), 'OrganizationObject.alarm: done');
    const points = all.filter(isOfFanOut);
    // Each block before and after its flush, and each call's end: the order, three tombstones, three acknowledgements
    // and what the round comes to.
    expect(points).toHaveLength(3 + 3 * 3 + 2 * 4 + 1);
    for (const fault of points) {
      const where = `after a kill at "${fault.point}" (${fault.passes})`;
      const ended = await faults.killAt(fault, bindUser, ({ user }) => revoke(user));
      // The change and its job are there together, or neither is.
      const { epoch, jobs } = await faults.broker.client.user(ended.user);
      expect(jobs.length, where).toBe(epoch - 1);
      if (epoch === 1) await revoke(ended.user);
      await until(`every shard is reached ${where}`, async () => {
        const [job] = await jobsOf(ended.user);
        return job?.shards.reached === faults.broker.shardCount;
      });
      await expectRevokedEverywhere(faults.broker, client, ended);
    }
    expect(await faults.broker.brokenRows()).toEqual([]);
  });
});

const jobOnDisk = z.object({
  job_id: z.string(),
  user_id: z.string(),
  epoch: z.int(),
  shards: z.int(),
  completed_at_ms: z.nullable(z.int()),
  unreached: z.int(),
});
type JobOnDisk = z.infer<typeof jobOnDisk> & {
  /** How many shards have the tombstone on disk. */
  readonly buried: number;
};

/** Runs `read` with every database of a class, as a process that dies now would leave them. */
function readDatabases<Value>(folder: string, read: (database: DatabaseSync) => Value): Value[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.sqlite') && name !== 'metadata.sqlite')
    .map((name) => {
      const database = new DatabaseSync(join(folder, name));
      try {
        return read(database);
      } finally {
        database.close();
      }
    });
}

/** What is on disk of every job, looked at in a copy of files that nobody changes meanwhile. */
function readJobs(dataDirectory: string): JobOnDisk[] {
  const copy = mkdtempSync(join(tmpdir(), 'countersign-frozen-'));
  try {
    cpSync(join(dataDirectory, 'durable-objects'), copy, { recursive: true });
    const [jobs = []] = readDatabases(join(copy, 'countersign-organization-v1'), (database) =>
      database
        .prepare(
          `SELECT job_id, user_id, epoch, shards, completed_at_ms, (
             SELECT COUNT(*) FROM tombstone_deliveries
             WHERE tombstone_deliveries.job_id = tombstone_jobs.job_id
           ) AS unreached FROM tombstone_jobs`,
        )
        .all()
        .map((row) => jobOnDisk.parse(row)),
    );
    const tombstones = readDatabases(
      join(copy, 'countersign-device-v1'),
      (database) =>
        new Map(
          database
            .prepare('SELECT user_id, epoch FROM user_tombstones')
            .all()
            .map(({ user_id, epoch }) => [user_id, Number(epoch)]),
        ),
    );
    return jobs.map((job) => ({
      ...job,
      buried: tombstones.filter((shard) => (shard.get(job.user_id) ?? 0) >= job.epoch).length,
    }));
  } finally {
    rmSync(copy, { recursive: true });
  }
}

describe('a fan-out that is killed at any moment', () => {
  let broker: TestBroker;
  let client: TestClient;
  beforeAll(async () => {
    broker = await TestBroker.start({ shardCount: 8 });
    client = await broker.client.registerClient();
  });
  afterAll(() => broker?.stopAndRemove());

  const completedJobs = () =>
    new Set(
      broker.logLines
        .filter((line) => line.includes('"event":"job_completed"'))
        .map((line) => /job_[\w-]{22}/.exec(line)?.[0]),
    );

  /** kill -9, after a look at what is on disk in that moment: what was reported is there, and what is not there was not. */
  function freezeAndKill(reported: Set<string>): JobOnDisk[] {
    const pid = broker.server.workerdPid();
    if (pid === undefined) throw new Error('workerd runs');
    // Standing still, it changes no file that is being read; what it has not written by now, it never will.
    process.kill(pid, 'SIGSTOP');
    const reportedBefore = [...reported];
    const onDisk = readJobs(broker.dataDirectory);
    process.kill(pid, 'SIGKILL');
    for (const job of onDisk) {
      expect(job.buried, job.job_id).toBeGreaterThanOrEqual(job.shards - job.unreached);
      if (job.completed_at_ms !== null) expect(job.buried, job.job_id).toBe(job.shards);
    }
    const complete = onDisk.filter(({ completed_at_ms }) => completed_at_ms !== null);
    const completeOnDisk = new Set(complete.map(({ job_id }) => job_id));
    expect(reportedBefore.filter((jobId) => !completeOnDisk.has(jobId))).toEqual([]);
    // Its line in the log may have been lost with the process.
    for (const jobId of completeOnDisk) reported.add(jobId);
    return onDisk;
  }

  it(
    `#37 is complete only when it is on disk everywhere, in ${rounds} rounds of kill -9 (COUNTERSIGN_FAULT_SEED=${seed})`,
    async () => {
      const usersPerRound = 8;
      const ended: Bound[] = [];
      /** Rounds that were cut off in the middle: brought to some shards, and not to all. */
      let halfWay = 0;
      const pending = new Set<string>();
      /** Jobs that the broker has reported complete. */
      const reported = new Set<string>();
      const askForPending = async () => {
        for (const jobId of pending) {
          const { status } = await broker.client.job(jobId);
          if (status === 'pending') continue;
          reported.add(jobId);
          pending.delete(jobId);
        }
        await sleep(5);
      };
      for (let round = 0; round < rounds; round++) {
        let isOver = false;
        const watching = (async () => {
          while (!isOver) await askForPending();
        })();
        const users = await bindUsers(broker, client, usersPerRound);
        const begun = Promise.withResolvers<void>();
        const changing = users.map(async ({ user }) => {
          const { job_id } = await broker.client.revokeUser(user);
          if (job_id !== undefined) pending.add(job_id);
          begun.resolve();
        });
        const work = Promise.allSettled([...changing, watching]);

        await begun.promise;
        await sleep(random() * 40);
        const onDisk = freezeAndKill(reported);
        isOver = true;
        await work;
        const names = new Set(users.map(({ user }) => user));
        const buried = onDisk
          .filter(({ user_id }) => names.has(user_id))
          .reduce((sum, job) => sum + job.buried, 0);
        if (buried > 0 && buried < usersPerRound * broker.shardCount) halfWay += 1;

        // As a whole: its supervisor would wait longer after each of many kills.
        await broker.stop();
        await broker.startAgain();
        // Who has no answer asks again.
        for (const { user } of users) {
          const { epoch, jobs } = await broker.client.user(user);
          for (const { job_id } of jobs) pending.add(job_id);
          if (epoch === 1) await broker.client.revokeUser(user);
        }
        ended.push(...users);
      }
      // The kills must have come while there was something left to bring.
      expect(halfWay).toBeGreaterThanOrEqual(rounds / 5);
      await until('some jobs are complete', async () => {
        await askForPending();
        return reported.size >= usersPerRound;
      });
      freezeAndKill(reported);

      // Nobody asks anything now: what was cut off is brought, and reported, by the broker itself.
      const complete = () => new Set([...completedJobs(), ...reported]).size;
      await until('every job is complete', () => complete() >= ended.length, 60_000);
      for (const each of ended) await expectRevokedEverywhere(broker, client, each);
      expect(await broker.brokenRows()).toEqual([]);
    },
    120_000 + rounds * 15_000,
  );
});
