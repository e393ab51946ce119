import type { Outcome } from './record-change.ts';
import {
  createTombstoneJob,
  findTombstoneJob,
  runningTombstoneJobs,
  type TombstoneJob,
} from './tombstone-job.ts';
import { findUser, storeUser, type UserRow, unknownUser } from './user-records.ts';

/** `job` is the one that the change waits for; `undefined` when it is complete as it is. */
export type UserChange = {
  readonly user: UserRow;
  readonly job: TombstoneJob | undefined;
};

/** The id of the job that a change begins, when it begins one, and the time of both. */
export type NewJob = { readonly jobId: string; readonly nowMs: number };

/**
 * Ends every binding that the user has, and every one that is being made: the epoch rises, and a job brings the
 * tombstone of the one that ended to each shard that is reserved now. A reservation that was answered before is one of
 * them; one that is answered later has the new epoch.
 */
function endEpoch(
  sql: SqlStorage,
  user: UserRow,
  active: UserRow['active'],
  reason: string,
  newJob: NewJob,
): UserChange {
  const changed: UserRow = { ...user, active, epoch: user.epoch + 1, epoch_since_ms: newJob.nowMs };
  storeUser(sql, changed);
  createTombstoneJob(sql, { userId: user.user_id, epoch: user.epoch, reason, ...newJob });
  return { user: changed, job: findTombstoneJob(sql, newJob.jobId) };
}

const eventOf = (
  event_type:
    | 'admin.user.deactivate'
    | 'admin.user.reactivate'
    | 'admin.user.create'
    | 'admin.user.revoke',
  { user_id, epoch }: UserRow,
  job?: TombstoneJob,
) => ({
  event_type,
  user: user_id,
  debug_data: { epoch: String(epoch), ...(job === undefined ? {} : { job_id: job.job_id }) },
});

/**
 * Deactivates a user, known or not; nobody inactive binds a certificate. Of one who is inactive already, no binding can
 * have come to be: the change waits for the job that is running, if there is one.
 */
export function deactivateUser(
  sql: SqlStorage,
  userId: string,
  newJob: NewJob,
): Outcome<UserChange> {
  const user = findUser(sql, userId) ?? unknownUser(userId);
  if (user.active === 0) {
    const job = runningTombstoneJobs(sql, userId).at(-1);
    return { ok: true, value: { user, job }, event: undefined };
  }
  const change = endEpoch(sql, { ...user, provisioned: 1 }, 0, 'deactivated', newJob);
  return {
    ok: true,
    value: change,
    event: eventOf('admin.user.deactivate', change.user, change.job),
  };
}

/**
 * Lets a user sign in again, with new certificates: what was ended stays so, and running jobs go on. One of whom nothing
 * was on record is made known.
 */
export function reactivateUser(sql: SqlStorage, userId: string): Outcome<UserChange> {
  const known = findUser(sql, userId) ?? unknownUser(userId);
  if (known.active === 1 && known.provisioned === 1) {
    return { ok: true, value: { user: known, job: undefined }, event: undefined };
  }
  const user: UserRow = { ...known, active: 1, provisioned: 1 };
  storeUser(sql, user);
  const type = known.active === 1 ? 'admin.user.create' : 'admin.user.reactivate';
  return { ok: true, value: { user, job: undefined }, event: eventOf(type, user) };
}

/** Ends the bindings of a user who may sign in again at once, with new certificates. Each call is a revocation. */
export function revokeUser(
  sql: SqlStorage,
  userId: string,
  reason: string,
  newJob: NewJob,
): Outcome<UserChange> {
  const user = findUser(sql, userId) ?? unknownUser(userId);
  const change = endEpoch(sql, user, user.active, reason, newJob);
  const event = eventOf('admin.user.revoke', change.user, change.job);
  return { ok: true, value: change, event: { ...event, reason } };
}
