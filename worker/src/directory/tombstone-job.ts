import { narrowingCompletesAfterMs } from '@countersign/protocol/limits';
import * as z from 'zod/mini';

/**
 * A durable job: brings a tombstone to shards, a user's to every shard that may hold a binding of that user, a deleted
 * integration's to all. A delivery is a shard that has not acknowledged yet; its row goes with the acknowledgement. The
 * job is complete when none is left and every snapshot from before the change is too old to be used. Everything here is
 * one block of its caller, or part of one.
 */
export const tombstoneJobRow = z.object({
  job_id: z.string(),
  kind: z.enum(['user', 'integration']),
  /** Empty for another kind. */
  user_id: z.string(),
  /** Bindings of this epoch and of older ones end; 0 for another kind. */
  epoch: z.int(),
  /** Empty for another kind. */
  integration_id: z.string(),
  /** `deactivated`, the reason of a revocation, or `deleted`. */
  reason: z.string(),
  created_at_ms: z.int(),
  /** How many shards were to be reached when it began. */
  shards: z.int(),
  /** Not before this, however soon the shards have answered. */
  completes_from_ms: z.int(),
  completed_at_ms: z.nullable(z.int()),
});
export type TombstoneJobRow = z.infer<typeof tombstoneJobRow>;
const jobColumns = Object.keys(tombstoneJobRow.shape).join(', ');

export type TombstoneJob = TombstoneJobRow & { readonly unreached: number };

const deliveryRow = z.object({
  job_id: z.string(),
  shard: z.int(),
  attempts: z.int(),
  kind: z.enum(['user', 'integration']),
  user_id: z.string(),
  epoch: z.int(),
  integration_id: z.string(),
});
export type Delivery = z.infer<typeof deliveryRow>;

const firstRetryMs = 500;
const longestRetryMs = 60_000;

type NewJob = {
  readonly jobId: string;
  readonly kind: TombstoneJobRow['kind'];
  readonly userId: string;
  readonly epoch: number;
  readonly integrationId: string;
  readonly reason: string;
  readonly nowMs: number;
};

/** Stores the job of deliveries that were just stored. */
function storeJob(sql: SqlStorage, job: NewJob): void {
  sql.exec(
    `INSERT INTO tombstone_jobs (job_id, kind, user_id, epoch, integration_id, reason,
       created_at_ms, shards, completes_from_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?, (SELECT COUNT(*) FROM tombstone_deliveries WHERE job_id = ?), ?)`,
    job.jobId,
    job.kind,
    job.userId,
    job.epoch,
    job.integrationId,
    job.reason,
    job.nowMs,
    job.jobId,
    job.nowMs + narrowingCompletesAfterMs,
  );
}

/** Begins a job for every shard that is reserved at this moment. */
export function createTombstoneJob(
  sql: SqlStorage,
  about: Omit<NewJob, 'kind' | 'integrationId'>,
): void {
  sql.exec(
    `INSERT INTO tombstone_deliveries (job_id, shard, attempts, due_at_ms)
     SELECT ?, shard, 0, ? FROM binding_reservations WHERE user_id = ?`,
    about.jobId,
    about.nowMs,
    about.userId,
  );
  storeJob(sql, { ...about, kind: 'user', integrationId: '' });
}

/** Begins the job of a deleted integration, for every shard: nobody has noted which of them hold its certificates. */
export function createIntegrationJob(
  sql: SqlStorage,
  about: Pick<NewJob, 'jobId' | 'integrationId' | 'nowMs'> & { readonly shardCount: number },
): void {
  for (let shard = 0; shard < about.shardCount; shard += 1) {
    sql.exec(
      'INSERT INTO tombstone_deliveries (job_id, shard, attempts, due_at_ms) VALUES (?, ?, 0, ?)',
      about.jobId,
      shard,
      about.nowMs,
    );
  }
  storeJob(sql, { ...about, kind: 'integration', userId: '', epoch: 0, reason: 'deleted' });
}

function withUnreached(sql: SqlStorage, row: TombstoneJobRow): TombstoneJob {
  const unreached = sql
    .exec<{ count: number }>(
      'SELECT COUNT(*) AS count FROM tombstone_deliveries WHERE job_id = ?',
      row.job_id,
    )
    .one().count;
  return { ...row, unreached };
}

export function findTombstoneJob(sql: SqlStorage, jobId: string): TombstoneJob | undefined {
  const [row] = sql
    .exec(`SELECT ${jobColumns} FROM tombstone_jobs WHERE job_id = ?`, jobId)
    .toArray();
  return row === undefined ? undefined : withUnreached(sql, tombstoneJobRow.parse(row));
}

/** The job of a deleted integration, complete or not. */
export function findIntegrationJob(
  sql: SqlStorage,
  integrationId: string,
): TombstoneJob | undefined {
  const [row] = sql
    .exec(
      `SELECT ${jobColumns} FROM tombstone_jobs WHERE kind = 'integration' AND integration_id = ?`,
      integrationId,
    )
    .toArray();
  return row === undefined ? undefined : withUnreached(sql, tombstoneJobRow.parse(row));
}

/** Jobs of a user that are not complete, oldest first. */
export function runningTombstoneJobs(sql: SqlStorage, userId: string): TombstoneJob[] {
  return sql
    .exec(
      `SELECT ${jobColumns} FROM tombstone_jobs
       WHERE user_id = ? AND kind = 'user' AND completed_at_ms IS NULL ORDER BY epoch`,
      userId,
    )
    .toArray()
    .map((row) => withUnreached(sql, tombstoneJobRow.parse(row)));
}

/** The oldest deliveries that are due. Those that a clock which went back has put far ahead are due as well. */
export function dueDeliveries(sql: SqlStorage, nowMs: number, limit: number): Delivery[] {
  return sql
    .exec(
      `SELECT job_id, shard, attempts, kind, user_id, epoch, integration_id
       FROM tombstone_deliveries JOIN tombstone_jobs USING (job_id)
       WHERE due_at_ms <= ? OR due_at_ms > ? ORDER BY due_at_ms LIMIT ?`,
      nowMs,
      nowMs + longestRetryMs,
      limit,
    )
    .toArray()
    .map((row) => deliveryRow.parse(row));
}

/** The shard has the tombstone on disk. */
export function acknowledgeDelivery(sql: SqlStorage, { job_id, shard }: Delivery): void {
  sql.exec('DELETE FROM tombstone_deliveries WHERE job_id = ? AND shard = ?', job_id, shard);
}

/** The shard has not answered, or could not: again later, each time after twice as long, up to a minute. */
export function postponeDelivery(sql: SqlStorage, delivery: Delivery, nowMs: number): void {
  const retryMs = Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(delivery.attempts, 16));
  sql.exec(
    `UPDATE tombstone_deliveries SET attempts = ?, due_at_ms = ? WHERE job_id = ? AND shard = ?`,
    delivery.attempts + 1,
    nowMs + retryMs,
    delivery.job_id,
    delivery.shard,
  );
}

/** Marks as complete what is, and gives it. */
export function completeTombstoneJobs(sql: SqlStorage, nowMs: number): TombstoneJobRow[] {
  // A clock that went back makes nobody wait longer than one that did not.
  sql.exec(
    `UPDATE tombstone_jobs SET completes_from_ms = ?1
     WHERE completed_at_ms IS NULL AND completes_from_ms > ?1`,
    nowMs + narrowingCompletesAfterMs,
  );
  return sql
    .exec(
      `UPDATE tombstone_jobs SET completed_at_ms = ?1
       WHERE completed_at_ms IS NULL AND completes_from_ms <= ?1 AND NOT EXISTS (
         SELECT 1 FROM tombstone_deliveries WHERE tombstone_deliveries.job_id = tombstone_jobs.job_id
       ) RETURNING ${jobColumns}`,
      nowMs,
    )
    .toArray()
    .map((row) => tombstoneJobRow.parse(row));
}

/** When there is something to do next; `undefined` when every job is complete. */
export function nextTombstoneWorkMs(sql: SqlStorage, nowMs: number): number | undefined {
  const { due } = sql
    .exec<{ due: number | null }>('SELECT MIN(due_at_ms) AS due FROM tombstone_deliveries')
    .one();
  const { completes } = sql
    .exec<{ completes: number | null }>(
      `SELECT MIN(completes_from_ms) AS completes FROM tombstone_jobs
       WHERE completed_at_ms IS NULL AND NOT EXISTS (
         SELECT 1 FROM tombstone_deliveries WHERE tombstone_deliveries.job_id = tombstone_jobs.job_id
       )`,
    )
    .one();
  const times = [due, completes].filter((time) => time !== null);
  return times.length === 0 ? undefined : Math.min(...times, nowMs + longestRetryMs);
}
