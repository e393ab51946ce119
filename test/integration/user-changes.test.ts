import type { TestClient } from '@countersign/testkit/broker-client';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { OrganizationObject } from '../../worker/src/directory/organization-object.ts';
import { holdAlarms } from './test-alarms.ts';
import { broker } from './test-broker.ts';
import { afterAlarm, allReached, epochsOf, jobWhen, sqlInOrganization } from './test-jobs.ts';
import { organizationObject, shardObject } from './test-objects.ts';
import { boundInShards, newUser } from './test-users.ts';

// One user who is deactivated, reactivated and revoked more than once.

let client: TestClient;
beforeAll(async () => {
  client = await broker.registerClient();
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** Lets the broker's clock, and the test's, stand this much later. */
const travel = (seconds: number) => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + seconds * 1000 });
};

describe('several changes of one user', () => {
  it('a deactivation that is repeated waits for the first one', async () => {
    const { user } = await boundInShards(client, [1, 2]);
    const first = await broker.putUser(user, false);
    const second = await broker.putUser(user, false);
    expect(second).toEqual(first);
    await jobWhen(first.job_id, allReached);
    travel(10);
    await afterAlarm(first.job_id);
    const { job_id, ...rest } = first;
    expect(job_id).toBeDefined();
    expect(await broker.putUser(user, false)).toEqual({ ...rest, status: 'complete' });
    const jobs = await sqlInOrganization(
      'SELECT job_id FROM tombstone_jobs WHERE user_id = ?',
      user,
    );
    expect(jobs).toEqual([{ job_id }]);
  });

  it('fifty deactivations at once are one', async () => {
    const { user } = await boundInShards(client, [3]);
    const changes = await Promise.all(
      Array.from({ length: 50 }, () => broker.putUser(user, false)),
    );
    expect(new Set(changes.map(({ job_id }) => job_id)).size).toBe(1);
    expect(changes.every(({ epoch }) => epoch === 2)).toBe(true);
  });

  it('a deactivation during a revocation has a job of its own, and the tombstone is the newer one', async () => {
    const shards = [1, 4];
    const { user } = await boundInShards(client, shards);
    holdAlarms(OrganizationObject);
    const revoked = await broker.revokeUser(user);
    const deactivated = await broker.putUser(user, false);
    expect([revoked.epoch, deactivated.epoch]).toEqual([2, 3]);
    expect((await broker.user(user)).jobs).toMatchObject([
      { job_id: revoked.job_id, epoch: 1, reason: 'unspecified' },
      { job_id: deactivated.job_id, epoch: 2, reason: 'deactivated' },
    ]);
    // The newer one comes first to one shard, and last to the other.
    await shardObject(1).buryUser(user, 2);
    await shardObject(1).buryUser(user, 1);
    await shardObject(4).buryUser(user, 1);
    expect(await epochsOf(user, shards)).toEqual([2, 1]);
    travel(60);
    expect(await afterAlarm(revoked.job_id)).toMatchObject({ status: 'complete' });
    expect(await broker.job(deactivated.job_id ?? '')).toMatchObject({ status: 'complete' });
    expect(await epochsOf(user, shards)).toEqual([2, 2]);
  });

  it('a reactivation does not end the job that is running, nor what it brings', async () => {
    const { user } = await boundInShards(client, [2, 5]);
    holdAlarms(OrganizationObject);
    const change = await broker.putUser(user, false);
    expect(await broker.putUser(user, true)).toEqual({
      user_id: user,
      active: true,
      epoch: 2,
      status: 'complete',
    });
    expect(await broker.user(user)).toMatchObject({
      active: true,
      jobs: [{ job_id: change.job_id, status: 'pending' }],
    });
    travel(60);
    expect(await afterAlarm(change.job_id)).toMatchObject({ status: 'complete' });
    expect(await epochsOf(user, [2, 5])).toEqual([1, 1]);
    // Deactivated again, it is another epoch that ends.
    expect(await broker.putUser(user, false)).toMatchObject({ epoch: 3, status: 'pending' });
  });

  it('a user whom nobody has seen can be deactivated, and then binds nothing', async () => {
    const user = newUser();
    const change = await broker.putUser(user, false);
    expect(change).toMatchObject({ epoch: 2, status: 'pending' });
    expect(await broker.job(change.job_id ?? '')).toMatchObject({
      shards: { total: 0, reached: 0 },
    });
    expect(await organizationObject().reserveBinding(user, 0)).toEqual({
      ok: false,
      code: 'subject_inactive',
    });
    travel(10);
    expect(await afterAlarm(change.job_id)).toMatchObject({ status: 'complete' });
  });

  it('to reactivate one who is not inactive makes them known, and then changes nothing', async () => {
    const user = newUser();
    const version = () => sqlInOrganization("SELECT value FROM settings WHERE name = 'version'");
    const answer = { active: true, epoch: 1, status: 'complete' };
    expect(await broker.putUser(user, true)).toMatchObject(answer);
    const before = await version();
    expect(await broker.putUser(user, true)).toMatchObject(answer);
    expect(await sqlInOrganization('SELECT * FROM users WHERE user_id = ?', user)).toEqual([
      {
        user_id: user,
        active: 1,
        epoch: 1,
        epoch_since_ms: 0,
        provisioned: 1,
        held: 0,
        name_key: user.toLowerCase(),
        by_name: 0,
      },
    ]);
    expect(await version()).toEqual(before);
  });
});
