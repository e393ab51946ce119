import type { JobAnswer, userAnswer } from '@countersign/protocol/admin-users';
import type * as z from 'zod/mini';
import type { TombstoneJob } from '../directory/tombstone-job.ts';
import type { UserRow } from '../directory/user-records.ts';

/** What an administrator sees of a job. */
export function describeJob(job: TombstoneJob): JobAnswer {
  return {
    job_id: job.job_id,
    status: job.completed_at_ms === null ? 'pending' : 'complete',
    kind: job.kind,
    ...(job.kind === 'user'
      ? { user_id: job.user_id, epoch: job.epoch }
      : { integration_id: job.integration_id }),
    reason: job.reason,
    created_at: new Date(job.created_at_ms).toISOString(),
    ...(job.completed_at_ms === null
      ? {}
      : { completed_at: new Date(job.completed_at_ms).toISOString() }),
    shards: { total: job.shards, reached: job.shards - job.unreached },
  };
}

/** What an administrator sees of a user. */
export function describeUser(
  user: UserRow,
  boundShards: number,
  jobs: readonly TombstoneJob[],
): z.infer<typeof userAnswer> {
  return {
    user_id: user.user_id,
    active: user.active === 1,
    provisioned: user.provisioned === 1,
    epoch: user.epoch,
    bound_shards: boundShards,
    jobs: jobs.map(describeJob),
  };
}
