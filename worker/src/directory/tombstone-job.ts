import { narrowingCompletesAfterMs } from '@countersign/protocol/limits';
import * as z from 'zod/mini';

/**
 * A durable job: brings one user's tombstone to every shard that may hold a binding of that user. A delivery is a shard
 * that has not acknowledged yet; its row goes with the acknowledgement. The job is complete when none is left and every
 * snapshot from before the change is too old to be used. Everything here is one block of its caller, or part of one.
 */
export const tombstoneJobRow = z.object({
  job_id: z.string(),
  user_id: z.string(),
  /** Bindings of this epoch and of older ones end. */
  epoch: z.int(),
  /** `deactivated`, or the reason of a revocation. */
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
  user_id: z.string(),
  epoch: z.int(),
});
export type Delivery = z.infer<typeof deliveryRow>;

const firstRetryMs = 500;
const longestRetryMs = 60_000;

/** Begins a job for every shard that is reserved at this moment. */
export function createTombstoneJob(
  sql: SqlStorage,
  about: {
    readonly jobId: string;
    readonly userId: string;
    readonly epoch: number;
    readonly reason: string;
    readonly nowMs: number;
  },
): void {
  const { jobId, userId, epoch, reason, nowMs } = about;
  sql.exec(
    `INSERT INTO tombstone_deliveries (job_id, shard, attempts, due_at_ms)
     SELECT ?, shard, 0, ? FROM binding_reservations WHERE user_id = ?`,
    jobId,
    nowMs,
    userId,
  );
  sql.exec(
    `INSERT INTO tombstone_jobs (job_id, user_id, epoch, reason, created_at_ms, shards,
       completes_from_ms)
     VALUES (?, ?, ?, ?, ?, (SELECT COUNT(*) FROM tombstone_deliveries WHERE job_id = ?), ?)`,
    jobId,
    userId,
    epoch,
    reason,
    nowMs,
    jobId,
    nowMs + narrowingCompletesAfterMs,
  );
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

/** Jobs of a user that are not complete, oldest first. */
export function runningTombstoneJobs(sql: SqlStorage, userId: string): TombstoneJob[] {
  return sql
    .exec(
      `SELECT ${jobColumns} FROM tombstone_jobs
       WHERE user_id = ? AND completed_at_ms IS NULL ORDER BY epoch`,
      userId,
    )
    .toArray()
    .map((row) => withUnreached(sql, tombstoneJobRow.parse(row)));
}

/** The oldest deliveries that are due. Those that a clock which went back has put far ahead are due as well. */
export function dueDeliveries(sql: SqlStorage, nowMs: number, limit: number): Delivery[] {
  return sql
    .exec(
      `SELECT job_id, shard, attempts, user_id, epoch
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
