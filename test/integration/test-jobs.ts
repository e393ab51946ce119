import type { JobAnswer } from '@countersign/protocol/admin-users';
import { vi } from 'vitest';
import { ringAlarm } from './test-alarms.ts';
import { broker } from './test-broker.ts';
import { organizationObject, runInOrganization, sqlInShard } from './test-objects.ts';

/** Jobs that end a user's bindings, looked at from outside and from inside. */

export const epochIn = async (shard: number, user: string) => {
  const rows = await sqlInShard(shard, 'SELECT epoch FROM user_tombstones WHERE user_id = ?', user);
  return rows[0]?.epoch;
};

export const epochsOf = (user: string, shards: readonly number[]) =>
  Promise.all(shards.map((shard) => epochIn(shard, user)));

/** Runs the alarm, however soon or late it is due, and gives the job. */
export async function afterAlarm(jobId: string | undefined): Promise<JobAnswer> {
  await ringAlarm(organizationObject());
  return await broker.job(jobId ?? '');
}

/** The job once `until` is true of it; the alarm rings by itself. */
export async function jobWhen(jobId: string | undefined, until: (job: JobAnswer) => boolean) {
  return await vi.waitFor(
    async () => {
      const job = await broker.job(jobId ?? '');
      if (!until(job)) throw new Error(JSON.stringify(job));
      return job;
    },
    { timeout: 60_000, interval: 20 },
  );
}

export const allReached = ({ shards }: JobAnswer) => shards.reached === shards.total;

export const sqlInOrganization = (statement: string, ...bindings: SqlStorageValue[]) =>
  runInOrganization((state) => state.storage.sql.exec(statement, ...bindings).toArray());
