import { type JobAnswer, jobAnswer } from '@countersign/protocol/admin-users';
import { CommandError, type Context, rows, type Section } from '../command-line/command.ts';
import { segment } from './read-input.ts';

const waitedMs = 10 * 60_000;

export const jobPath = (jobId: string) => `/v1/admin/jobs/${segment(jobId)}`;

/** Asks until the job is complete: only then does every decision know of the change. */
export async function waitForJob(context: Context, jobId: string): Promise<JobAnswer> {
  const startedAtMs = context.nowMs();
  for (;;) {
    const job = await context.client().get(jobPath(jobId), jobAnswer);
    if (job.status === 'complete') return job;
    if (context.nowMs() - startedAtMs > waitedMs) {
      throw new CommandError(
        `${jobId} is not complete after ten minutes; ask again with jobs show`,
      );
    }
    context.progress(`${job.shards.reached} of ${job.shards.total} shards reached`);
    await context.sleep(1_000);
  }
}

export const describeJob = (job: JobAnswer): Section =>
  rows(
    ['job', job.job_id],
    ['status', job.status],
    [
      'ends',
      job.kind === 'user' ? `bindings of ${job.user_id}` : `integration ${job.integration_id}`,
    ],
    ['reason', job.reason],
    ['shards', `${job.shards.reached} of ${job.shards.total} reached`],
    ['created', job.created_at],
    ['completed', job.completed_at],
  );
