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
  readonly changed: boolean;
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
  return { user: changed, changed: true, job: findTombstoneJob(sql, newJob.jobId) };
}

/**
 * Deactivates a user, known or not; nobody inactive binds a certificate. Of one who is inactive already, no binding can
 * have come to be: the change waits for the job that is running, if there is one.
 */
export function deactivateUser(sql: SqlStorage, userId: string, newJob: NewJob): UserChange {
  const user = findUser(sql, userId) ?? unknownUser(userId);
  if (user.active === 1) return endEpoch(sql, user, 0, 'deactivated', newJob);
  return { user, changed: false, job: runningTombstoneJobs(sql, userId).at(-1) };
}

/** Lets a user sign in again, with new certificates: what was ended stays so, and running jobs go on. */
export function reactivateUser(sql: SqlStorage, userId: string): UserChange {
  const known = findUser(sql, userId);
  if (known?.active !== 0) {
    return { user: known ?? unknownUser(userId), changed: false, job: undefined };
  }
  const user: UserRow = { ...known, active: 1 };
  storeUser(sql, user);
  return { user, changed: true, job: undefined };
}

/** Ends the bindings of a user who may sign in again at once, with new certificates. Each call is a revocation. */
export function revokeUser(
  sql: SqlStorage,
  userId: string,
  reason: string,
  newJob: NewJob,
): UserChange {
  const user = findUser(sql, userId) ?? unknownUser(userId);
  return endEpoch(sql, user, user.active, reason, newJob);
}
