import { evictDurableObject } from 'cloudflare:test';
import type { TestClient } from '@countersign/testkit/broker-client';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { DeviceObject } from '../../worker/src/device/device-object.ts';
import { OrganizationObject } from '../../worker/src/directory/organization-object.ts';
import {
  type StorageUnavailable,
  storageUnavailable,
} from '../../worker/src/storage/durable-store.ts';
import { betweenAlarms, holdAlarms, ringAlarm } from './test-alarms.ts';
import { broker } from './test-broker.ts';
import { afterAlarm, allReached, epochsOf, jobWhen, sqlInOrganization } from './test-jobs.ts';
import { inShard, organizationObject, runInOrganization, shardCount } from './test-objects.ts';
import { boundInShards, holdBurials, newUser } from './test-users.ts';

// The job that brings a tombstone to every shard: when it is complete, and what interrupts it.

let client: TestClient;
beforeAll(async () => {
  client = await broker.registerClient();
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** Lets the broker's clock, and the test's, stand there. */
const travelTo = (now: number) => {
  vi.useFakeTimers({ toFake: ['Date'], now });
};
const travel = (seconds: number) => travelTo(Date.now() + seconds * 1000);

describe('a job', () => {
  const silence = Promise.withResolvers<StorageUnavailable>();
  let isSilent = true;
  afterAll(() => silence.resolve(storageUnavailable));

  it('reaches every reserved shard by itself, and is complete ten seconds after the change', async () => {
    const shards = [0, 3, 5];
    const { user } = await boundInShards(client, shards);
    const change = await broker.putUser(user, false);
    expect(change).toMatchObject({ user_id: user, active: false, epoch: 2, status: 'pending' });
    const job = await jobWhen(change.job_id, allReached);
    expect(job).toEqual({
      job_id: change.job_id,
      status: 'pending',
      kind: 'user',
      user_id: user,
      epoch: 1,
      reason: 'deactivated',
      created_at: expect.any(String),
      shards: { total: 3, reached: 3 },
    });
    expect(await epochsOf(user, shards)).toEqual([1, 1, 1]);
    const changedAtMs = Date.parse(job.created_at);
    travelTo(changedAtMs + 9000);
    expect(await afterAlarm(change.job_id)).toMatchObject({ status: 'pending' });
    travelTo(changedAtMs + 10_000);
    const complete = await afterAlarm(change.job_id);
    expect(complete).toMatchObject({ status: 'complete', shards: { total: 3, reached: 3 } });
    const took = Date.parse(complete.completed_at ?? '') - Date.parse(complete.created_at);
    expect(took).toBeGreaterThanOrEqual(10_000);
    // And stays so.
    expect(await afterAlarm(change.job_id)).toEqual(complete);
    expect(await broker.user(user)).toEqual({
      user_id: user,
      active: false,
      provisioned: true,
      epoch: 2,
      bound_shards: 3,
      jobs: [],
    });
  });

  it('rings again by itself when the ten seconds are over', async () => {
    const { user } = await boundInShards(client, [1]);
    const change = await broker.putUser(user, false);
    const job = await jobWhen(change.job_id, ({ status }) => status === 'complete');
    const took = Date.parse(job.completed_at ?? '') - Date.parse(job.created_at);
    expect(took).toBeGreaterThanOrEqual(10_000);
    expect(took).toBeLessThan(40_000);
  });

  it.each<[string, () => Promise<StorageUnavailable>]>([
    ['cannot write', async () => storageUnavailable],
    [
      'fails',
      async () => {
        throw new Error('this object is broken');
      },
    ],
    [
      'is silent once',
      async () => {
        if (!isSilent) return storageUnavailable;
        isSilent = false;
        return await silence.promise;
      },
    ],
  ])('waits for a shard that %s, and for no other', async (_, answer) => {
    const shards = [2, 4, 6];
    const { user } = await boundInShards(client, shards);
    const { buryUser } = DeviceObject.prototype;
    const asked = vi.spyOn(DeviceObject.prototype, 'buryUser').mockImplementation(async function (
      this: DeviceObject,
      ...given
    ) {
      const lame = await inShard(4, (object) => object === this);
      return lame ? await answer() : await buryUser.apply(this, given);
    });
    const change = await broker.putUser(user, false);
    const job = await jobWhen(change.job_id, ({ shards: { reached } }) => reached === 2);
    expect(await epochsOf(user, shards)).toEqual([1, undefined, 1]);
    travel(60);
    // The one that was silent is given up on after ten seconds.
    expect(await afterAlarm(job.job_id)).toMatchObject({
      status: 'pending',
      shards: { reached: 2 },
    });
    asked.mockRestore();
    travel(60);
    const complete = await afterAlarm(job.job_id);
    expect(complete.status).toBe('complete');
    expect(complete.shards).toEqual({ total: 3, reached: 3 });
    expect(await epochsOf(user, shards)).toEqual([1, 1, 1]);
  });

  it('asks a shard that cannot write less and less often, up to once a minute', async () => {
    const { user } = await boundInShards(client, [7]);
    holdAlarms(OrganizationObject);
    const held = holdBurials();
    const { job_id = '' } = await broker.putUser(user, false);
    const pauses: number[] = [];
    for (let attempt = 1; attempt <= 10; attempt++) {
      travelTo(Date.now());
      await ringAlarm(organizationObject());
      const [delivery] = await sqlInOrganization(
        'SELECT attempts, due_at_ms FROM tombstone_deliveries WHERE job_id = ?',
        job_id,
      );
      expect(delivery?.attempts).toBe(attempt);
      pauses.push(Number(delivery?.due_at_ms) - Date.now());
      travelTo(Number(delivery?.due_at_ms));
    }
    expect(pauses).toEqual(
      Array.from({ length: 10 }, (_, index) => Math.min(60_000, 500 * 2 ** index)),
    );
    held.restore();
    travel(60);
    expect(await afterAlarm(job_id)).toMatchObject({ status: 'complete' });
  });

  it('is not the only one: what is due beyond one round comes in the next', async () => {
    const users = Array.from({ length: 40 }, newUser);
    const shards = Array.from({ length: shardCount }, (_, shard) => shard);
    await Promise.all(
      users.flatMap((user) =>
        shards.map((shard) => organizationObject().reserveBinding(user, shard)),
      ),
    );
    holdAlarms(OrganizationObject);
    const changes = await Promise.all(users.map((user) => broker.putUser(user, false)));
    const left = () => sqlInOrganization('SELECT COUNT(*) AS count FROM tombstone_deliveries');
    expect(await left()).toEqual([{ count: 40 * shardCount }]);
    travel(60);
    await ringAlarm(organizationObject());
    expect(await left()).toEqual([{ count: 40 * shardCount - 256 }]);
    await ringAlarm(organizationObject());
    for (const { job_id } of changes) {
      expect(await broker.job(job_id ?? '')).toMatchObject({ status: 'complete' });
    }
    const epochs = await Promise.all(users.map((user) => epochsOf(user, shards)));
    expect(epochs.flat()).toEqual(Array.from({ length: 40 * shardCount }, () => 1));
  });
});

describe('an interrupted job', () => {
  it('goes on after the organization was evicted, at any point', async () => {
    const shards = [1, 2, 3, 4];
    const { user } = await boundInShards(client, shards);
    const { buryUser } = DeviceObject.prototype;
    const asked: number[] = [];
    vi.spyOn(DeviceObject.prototype, 'buryUser').mockImplementation(async function (
      this: DeviceObject,
      ...given
    ) {
      // Written, and the acknowledgement is lost three times out of four.
      const answer = await buryUser.apply(this, given);
      asked.push(asked.length);
      return asked.length % 4 === 0 ? answer : storageUnavailable;
    });
    const change = await broker.putUser(user, false);
    let job = await broker.job(change.job_id ?? '');
    for (let round = 0; round < 20 && job.status === 'pending'; round++) {
      await evictDurableObject(organizationObject());
      travel(60);
      job = await afterAlarm(job.job_id);
    }
    expect(job).toMatchObject({ status: 'complete', shards: { total: 4, reached: 4 } });
    expect(asked.length).toBeGreaterThan(4);
    expect(await epochsOf(user, shards)).toEqual([1, 1, 1, 1]);
  });

  it('that has lost its alarm gets one when the object begins anew', async () => {
    const { user } = await boundInShards(client, [5]);
    const held = holdBurials();
    const change = await broker.putUser(user, false);
    await vi.waitFor(
      async () => expect((await attemptsOf(change.job_id))[0]).toBeGreaterThan(0),
      30_000,
    );
    await runInOrganization(({ storage }) => storage.deleteAlarm());
    held.restore();
    await evictDurableObject(organizationObject());
    expect(await jobWhen(change.job_id, allReached)).toMatchObject({ shards: { reached: 1 } });
  });

  it.each<[string, (storage: DurableObjectStorage) => Promise<void>]>([
    ['has lost its alarm', (storage) => storage.deleteAlarm()],
    [
      'has it a day ahead, as after a clock that went back',
      (storage) => storage.setAlarm(Date.now() + 86_400_000),
    ],
  ])('that %s gets one while the object goes on', async (_, spoil) => {
    const { user } = await boundInShards(client, [5]);
    await evictDurableObject(organizationObject());
    const held = holdBurials();
    const change = await broker.putUser(user, false);
    await vi.waitFor(
      async () => expect((await attemptsOf(change.job_id))[0]).toBeGreaterThan(0),
      30_000,
    );
    await betweenAlarms(organizationObject(), async (_object, { storage }) => {
      await spoil(storage);
      held.restore();
      // Longer than the object lets pass without a look, while somebody asks for the job.
      travel(61);
    });
    await vi.waitFor(async () => {
      await broker.job(change.job_id ?? '');
      const alarmMs = await runInOrganization(({ storage }) => storage.getAlarm());
      expect(alarmMs).toEqual(expect.any(Number));
      expect(alarmMs).toBeLessThanOrEqual(Date.now());
    }, 30_000);
    expect(await afterAlarm(change.job_id)).toMatchObject({ shards: { reached: 1 } });
  });

  it('is not kept waiting by a clock that went back', async () => {
    const { user } = await boundInShards(client, [6]);
    const held = holdBurials();
    travel(86_400);
    const change = await broker.putUser(user, false);
    await afterAlarm(change.job_id);
    expect(await attemptsOf(change.job_id)).toEqual([1]);
    held.restore();
    vi.useRealTimers();
    const begun = Date.now();
    expect(await afterAlarm(change.job_id)).toMatchObject({
      status: 'pending',
      shards: { total: 1, reached: 1 },
    });
    travelTo(begun + 9000);
    expect(await afterAlarm(change.job_id)).toMatchObject({ status: 'pending' });
    travel(30);
    expect(await afterAlarm(change.job_id)).toMatchObject({ status: 'complete' });
  });

  const attemptsOf = async (jobId: string | undefined) => {
    const rows = await sqlInOrganization(
      'SELECT attempts FROM tombstone_deliveries WHERE job_id = ?',
      jobId ?? '',
    );
    return rows.map(({ attempts }) => Number(attempts));
  };
});
