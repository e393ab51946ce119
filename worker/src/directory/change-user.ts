import { readDirectorySync } from './directory-settings.ts';
import { findDirectoryUserOf, raiseUserVersion } from './directory-user-records.ts';
import type { AdminEvent, Outcome } from './record-change.ts';
import {
  createTombstoneJob,
  findTombstoneJob,
  runningTombstoneJobs,
  type TombstoneJob,
} from './tombstone-job.ts';
import { findNamesakes, findUser, storeUser, type UserRow, unknownUser } from './user-records.ts';

/** `job` is the one that the change waits for; `undefined` when it is complete as it is. */
export type UserChange = {
  readonly user: UserRow;
  readonly job: TombstoneJob | undefined;
};

/** The id of the job that a change begins, when it begins one, and the time of both. */
export type NewJob = { readonly jobId: string; readonly nowMs: number };

/** Ids of jobs for changes that may begin several. */
export type NewJobs = { readonly newJobId: () => string; readonly nowMs: number };

/**
 * Ends every binding that the user has, and every one that is being made: the epoch rises, and a job brings the
 * tombstone of the one that ended to each shard that is reserved now. A reservation that was answered before is one of
 * them; one that is answered later has the new epoch.
 */
export function endEpoch(
  sql: SqlStorage,
  user: UserRow,
  standing: Pick<UserRow, 'active'> & Partial<Pick<UserRow, 'held' | 'provisioned' | 'by_name'>>,
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
 * Everybody of this name beside the row of this id: where people are known by name, and the directory knows this one,
 * another spelling is the same person. Ids that no directory knows are what they are.
 */
function othersOfName(sql: SqlStorage, userId: string): UserRow[] {
  if (readDirectorySync(sql).subject !== 'userName') return [];
  const others = findNamesakes(sql, userId);
  const isKnown = findUser(sql, userId)?.by_name === 1;
  return isKnown || others.some(({ by_name }) => by_name === 1) ? others : [];
}

const outcome = (user: UserRow, job: TombstoneJob | undefined, events: readonly AdminEvent[]) => {
  const [event, ...further] = events;
  return { ok: true, value: { user, job }, event, further } as const;
};

/**
 * Deactivates a user, known or not, in every spelling of the name; nobody inactive binds a certificate. Of one who is
 * inactive already, no binding can have come to be: the change waits for the job that is running, if there is one. From
 * then on only an administrator lets the user in again.
 */
export function deactivateUser(
  sql: SqlStorage,
  userId: string,
  { newJobId, nowMs }: NewJobs,
): Outcome<UserChange> {
  const hold = (user: UserRow): { readonly change: UserChange; readonly events: AdminEvent[] } => {
    if (user.active === 0) {
      const job = runningTombstoneJobs(sql, user.user_id).at(-1);
      if (user.held === 1) return { change: { user, job }, events: [] };
      const held: UserRow = { ...user, held: 1 };
      storeUser(sql, held);
      return { change: { user: held, job }, events: [userEvent(deactivated, held, job)] };
    }
    const standing = { active: 0, held: 1, provisioned: 1 } as const;
    const change = endEpoch(sql, user, standing, 'deactivated', { jobId: newJobId(), nowMs });
    raiseUserVersion(sql, user.user_id);
    return { change, events: [userEvent(deactivated, change.user, change.job)] };
  };
  const others = othersOfName(sql, userId);
  const { change, events } = hold(findUser(sql, userId) ?? unknownUser(userId));
  return outcome(change.user, change.job, [
    ...events,
    ...others.flatMap((other) => hold(other).events),
  ]);
}

const deactivated = 'admin.user.deactivate';

/**
 * Lets a user sign in again, in every spelling of the name, with new certificates: what was ended stays so, and running
 * jobs go on. One of whom nothing was on record is made known. Whom the directory has deactivated, the directory alone
 * lets in again.
 */
export function reactivateUser(
  sql: SqlStorage,
  userId: string,
): Outcome<UserChange> | { readonly ok: false; readonly code: 'user_inactive_in_directory' } {
  const known = findUser(sql, userId) ?? unknownUser(userId);
  const others = othersOfName(sql, userId);
  const inDirectory = [known, ...others].map(({ user_id }) => findDirectoryUserOf(sql, user_id));
  if (inDirectory.some((found) => found?.active === 0)) {
    return { ok: false, code: 'user_inactive_in_directory' };
  }
  const user: UserRow = { ...known, active: 1, held: 0, provisioned: 1 };
  const isLetIn = known.active === 1 && known.provisioned === 1;
  if (!isLetIn) storeUser(sql, user);
  const type = known.active === 1 ? 'admin.user.create' : 'admin.user.reactivate';
  const inactive = others.filter(({ active }) => active === 0);
  const events = [
    ...(isLetIn ? [] : [userEvent(type, user)]),
    ...inactive.map((other) => letIn(sql, other)),
  ];
  if (events.length > 0)
    for (const each of [user, ...inactive]) raiseUserVersion(sql, each.user_id);
  return outcome(user, undefined, events);
}

/** Of one who is inactive. */
export function letIn(sql: SqlStorage, user: UserRow): AdminEvent {
  const active: UserRow = { ...user, active: 1, held: 0 };
  storeUser(sql, active);
  return userEvent('admin.user.reactivate', active);
}

/**
 * Ends the bindings of a user, in every spelling of the name, who may sign in again at once, with new certificates. Each
 * call is a revocation.
 */
export function revokeUser(
  sql: SqlStorage,
  userId: string,
  reason: string,
  { newJobId, nowMs }: NewJobs,
): Outcome<UserChange> {
  const others = othersOfName(sql, userId);
  const changes = [findUser(sql, userId) ?? unknownUser(userId), ...others].map((user) =>
    endEpoch(sql, user, { active: user.active }, reason, { jobId: newJobId(), nowMs }),
  );
  const [change] = changes;
  if (change === undefined) throw new TypeError('one of them is the user');
  const events = changes.map(({ user, job }) => ({
    ...userEvent('admin.user.revoke', user, job),
    reason,
  }));
  return outcome(change.user, change.job, events);
}
