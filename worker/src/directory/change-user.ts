import { findDirectoryUserOf, raiseUserVersion } from './directory-user-records.ts';
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
export function endEpoch(
  sql: SqlStorage,
  user: UserRow,
  standing: Pick<UserRow, 'active'> & Partial<Pick<UserRow, 'held' | 'provisioned' | 'name_key'>>,
  reason: string,
  newJob: NewJob,
): UserChange {
  const changed: UserRow = {
    ...user,
    ...standing,
    epoch: user.epoch + 1,
    epoch_since_ms: newJob.nowMs,
  };
  storeUser(sql, changed);
  createTombstoneJob(sql, { userId: user.user_id, epoch: user.epoch, reason, ...newJob });
  return { user: changed, job: findTombstoneJob(sql, newJob.jobId) };
}

/** What a change of a user is in the log. */
export const userEvent = (
  event_type: `admin.user.${string}`,
  { user_id, epoch }: UserRow,
  job?: TombstoneJob,
) => ({
  event_type,
  user: user_id,
  debug_data: { epoch: String(epoch), ...(job === undefined ? {} : { job_id: job.job_id }) },
});

/**
 * Deactivates a user, known or not; nobody inactive binds a certificate. Of one who is inactive already, no binding can
 * have come to be: the change waits for the job that is running, if there is one. From then on only an administrator
 * lets the user in again.
 */
export function deactivateUser(
  sql: SqlStorage,
  userId: string,
  newJob: NewJob,
): Outcome<UserChange> {
  const user = findUser(sql, userId) ?? unknownUser(userId);
  if (user.active === 0) {
    const job = runningTombstoneJobs(sql, userId).at(-1);
    if (user.held === 1) return { ok: true, value: { user, job }, event: undefined };
    const held: UserRow = { ...user, held: 1 };
    storeUser(sql, held);
    return {
      ok: true,
      value: { user: held, job },
      event: userEvent('admin.user.deactivate', held, job),
    };
  }
  const standing = { active: 0, held: 1, provisioned: 1 } as const;
  const change = endEpoch(sql, user, standing, 'deactivated', newJob);
  raiseUserVersion(sql, userId);
  return {
    ok: true,
    value: change,
    event: userEvent('admin.user.deactivate', change.user, change.job),
  };
}

/**
 * Lets a user sign in again, with new certificates: what was ended stays so, and running jobs go on. One of whom nothing
 * was on record is made known. Whom the directory has deactivated, the directory alone lets in again.
 */
export function reactivateUser(
  sql: SqlStorage,
  userId: string,
): Outcome<UserChange> | { readonly ok: false; readonly code: 'user_inactive_in_directory' } {
  const known = findUser(sql, userId) ?? unknownUser(userId);
  if (findDirectoryUserOf(sql, userId)?.active === 0) {
    return { ok: false, code: 'user_inactive_in_directory' };
  }
  if (known.active === 1 && known.provisioned === 1) {
    return { ok: true, value: { user: known, job: undefined }, event: undefined };
  }
  const user: UserRow = { ...known, active: 1, provisioned: 1, held: 0 };
  storeUser(sql, user);
  raiseUserVersion(sql, userId);
  const type = known.active === 1 ? 'admin.user.create' : 'admin.user.reactivate';
  return { ok: true, value: { user, job: undefined }, event: userEvent(type, user) };
}

/** Ends the bindings of a user who may sign in again at once, with new certificates. Each call is a revocation. */
export function revokeUser(
  sql: SqlStorage,
  userId: string,
  reason: string,
  newJob: NewJob,
): Outcome<UserChange> {
  const user = findUser(sql, userId) ?? unknownUser(userId);
  const change = endEpoch(sql, user, { active: user.active }, reason, newJob);
  const event = userEvent('admin.user.revoke', change.user, change.job);
  return { ok: true, value: change, event: { ...event, reason } };
}
