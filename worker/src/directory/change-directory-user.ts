import { nameKey } from '@countersign/protocol/name-key';
import type { DescribedUser } from '../scim/describe-resources.ts';
import {
  type GivenUser,
  takeUserStep,
  type UserDescription,
  type UserStep,
} from '../scim/user-steps.ts';
import { forgetMemberships } from './change-memberships.ts';
import { userEvent } from './change-user.ts';
import { type QuotaReached, takeRemovals, usersScope } from './directory-quota.ts';
import { readDirectorySync } from './directory-settings.ts';
import {
  isSomebodyActive,
  type PlanRefusal,
  planUser,
  type UserPlan,
} from './directory-user-plan.ts';
import {
  countDirectoryUsers,
  type DirectoryUser,
  findDirectoryUser,
  peopleIn,
  storeDirectoryUser,
} from './directory-user-records.ts';
import { changeStanding, type DirectoryContext, endUser } from './directory-user-standing.ts';
import { readReadOnly } from './organization-settings.ts';
import type { AdminEvent, Outcome } from './record-change.ts';
import { runningTombstoneJobs } from './tombstone-job.ts';
import { findNamesakes, findUser, unknownUser } from './user-records.ts';

/**
 * People as a directory brings, changes and ends them. What ends goes the way of a deactivation by an administrator:
 * epoch, job, tombstones. Within blocks of the organization.
 */

/** The whole resource anew, or steps from what it is. */
export type UserEdit =
  | { readonly kind: 'replace'; readonly given: GivenUser }
  | { readonly kind: 'patch'; readonly steps: readonly UserStep[] };

export type DirectoryUserRefusal =
  | PlanRefusal
  | QuotaReached
  | { readonly ok: false; readonly code: 'scim_resource_not_found' }
  | { readonly ok: false; readonly code: 'scim_version_mismatch' }
  | { readonly ok: false; readonly code: 'read_only' };

const notFound = { ok: false, code: 'scim_resource_not_found' } as const;
const mismatch = { ok: false, code: 'scim_version_mismatch' } as const;

/** Versions that `If-Match` names; `undefined` where it is not sent or takes any. */
export type ExpectedVersions = readonly number[] | undefined;

export const isExpected = (expected: ExpectedVersions, version: number): boolean =>
  expected === undefined || expected.includes(version);

export function createDirectoryUser(
  sql: SqlStorage,
  { active = true, ...given }: GivenUser,
  context: DirectoryContext,
): Outcome<DescribedUser> | DirectoryUserRefusal {
  const { subject } = readDirectorySync(sql);
  return carryOut(
    sql,
    planUser(sql, peopleIn(sql), subject, undefined, { ...given, active }),
    context,
  );
}

/** A PUT that says nothing of `active` or `externalId` leaves them: nobody is let in, or kept out, by a word left out. */
function edit(before: DirectoryUser, change: UserEdit): UserDescription {
  const present: UserDescription = {
    userName: before.user_name,
    externalId: before.external_id ?? undefined,
    active: before.active === 1,
    profile: before.profile,
  };
  if (change.kind === 'patch') return change.steps.reduce(takeUserStep, present);
  const { active = present.active, externalId = present.externalId, ...given } = change.given;
  return { ...given, active, externalId };
}

export function changeDirectoryUser(
  sql: SqlStorage,
  scimId: string,
  change: UserEdit,
  expected: ExpectedVersions,
  context: DirectoryContext,
): Outcome<DescribedUser> | DirectoryUserRefusal {
  const before = findDirectoryUser(sql, scimId);
  if (before === undefined) return notFound;
  if (!isExpected(expected, before.version)) return mismatch;
  const next = edit(before, change);
  // While the broker is read-only trust may be taken away, and nothing else.
  const endsAccess = before.active === 1 && !next.active;
  if (readReadOnly(sql) !== undefined && !endsAccess) return { ok: false, code: 'read_only' };
  const { subject } = readDirectorySync(sql);
  return carryOut(sql, planUser(sql, peopleIn(sql), subject, before, next), context);
}

/** Ends a person's access and forgets the resource, with memberships as far as quotas of groups permit. Whoever comes under the same name later has an epoch of their own. */
export function removeDirectoryUser(
  sql: SqlStorage,
  scimId: string,
  expected: ExpectedVersions,
  context: DirectoryContext,
): Outcome<undefined> | DirectoryUserRefusal {
  const before = findDirectoryUser(sql, scimId);
  if (before === undefined) return notFound;
  if (!isExpected(expected, before.version)) return mismatch;
  const isNamed = readDirectorySync(sql).subject === 'userName';
  const endsAccess = isSomebodyActive(sql, peopleIn(sql), before.user_id, isNamed);
  const refused = takePeople(sql, endsAccess ? [before.user_id] : [], context.nowMs);
  if (refused !== undefined) return refused;
  const ended = endUser(sql, before.user_id, before.standing === 1, context);
  const stops = forgetMemberships(sql, before.user_id, context.nowMs);
  sql.exec('DELETE FROM directory_users WHERE scim_id = ?', scimId);
  const user = findUser(sql, before.user_id) ?? unknownUser(before.user_id);
  const event = userEvent('admin.user.delete', user, ended.job);
  return { ok: true, value: undefined, event, further: [...ended.events, ...stops] };
}

const takePeople = (sql: SqlStorage, userIds: readonly string[], nowMs: number) =>
  takeRemovals(sql, usersScope, { userIds, present: () => countDirectoryUsers(sql).active }, nowMs);

function carryOut(
  sql: SqlStorage,
  planned: ReturnType<typeof planUser>,
  context: DirectoryContext,
): Outcome<DescribedUser> | DirectoryUserRefusal {
  if (!planned.ok) return planned;
  const { plan } = planned;
  const refused = takePeople(sql, plan.removals, context.nowMs);
  if (refused !== undefined) return refused;
  const { scimId, events } = carryOutPlan(sql, plan, context);
  const [event, ...further] = events;
  return { ok: true, value: describeDirectoryUser(sql, scimId), event, further };
}

const isSameUser = (before: DirectoryUser, { next, userId, isAnother }: UserPlan) =>
  !isAnother &&
  before.user_id === userId &&
  before.user_name === next.userName &&
  (before.external_id ?? undefined) === next.externalId &&
  (before.active === 1) === next.active &&
  JSON.stringify(before.profile) === JSON.stringify(next.profile);

/** Does what was planned; whether it may be done was asked before. */
export function carryOutPlan(
  sql: SqlStorage,
  plan: UserPlan,
  context: DirectoryContext,
): { readonly scimId: string; readonly events: readonly AdminEvent[] } {
  const { before, next, userId } = plan;
  if (before !== undefined && isSameUser(before, plan)) {
    return { scimId: before.scim_id, events: [] };
  }
  const scimId = before?.scim_id ?? context.newScimId();
  const events = changeStanding(sql, plan, context);
  storeDirectoryUser(sql, {
    scim_id: scimId,
    user_id: userId,
    user_name: next.userName,
    user_name_key: nameKey(next.userName),
    external_id: next.externalId ?? null,
    active: next.active ? 1 : 0,
    profile: next.profile,
    former_user_ids: stillEnding(sql, plan),
    version: (before?.version ?? 0) + 1,
    created_at_ms: before?.created_at_ms ?? context.nowMs,
    changed_at_ms: context.nowMs,
  });
  const user = findUser(sql, userId) ?? unknownUser(userId);
  if (before === undefined || plan.isAnother) {
    return { scimId, events: [userEvent('admin.user.create', user), ...events] };
  }
  return { scimId, events: events.length > 0 ? events : [userEvent('admin.user.update', user)] };
}

/** Ids that the person had before, as long as what was bound under them is being ended. */
function stillEnding(sql: SqlStorage, { before, userId, isNamed }: UserPlan): string[] {
  if (before === undefined) return [];
  const namesakes = isNamed ? findNamesakes(sql, before.user_id) : [];
  const ids = new Set([
    before.user_id,
    ...namesakes.map(({ user_id }) => user_id),
    ...before.former_user_ids,
  ]);
  ids.delete(userId);
  return [...ids].filter((id) => runningTombstoneJobs(sql, id).length > 0);
}

/** A resource that is there, with its groups and what is still being done. */
export function describeDirectoryUser(sql: SqlStorage, scimId: string): DescribedUser {
  const user = findDirectoryUser(sql, scimId);
  if (user === undefined) throw new TypeError('described while it is there');
  return describeRow(sql, user);
}

export function describeRow(sql: SqlStorage, user: DirectoryUser): DescribedUser {
  const groups = sql
    .exec<{ id: string; name: string }>(
      `SELECT group_id AS id, name FROM group_members JOIN user_groups USING (group_id)
       WHERE user_id = ? AND origin = 'directory' ORDER BY group_id`,
      user.user_id,
    )
    .toArray();
  const namesakes =
    findUser(sql, user.user_id)?.by_name === 1 ? findNamesakes(sql, user.user_id) : [];
  const ids = new Set([
    user.user_id,
    ...user.former_user_ids,
    ...namesakes.map((each) => each.user_id),
  ]);
  const jobs = [...ids].flatMap((id) => runningTombstoneJobs(sql, id).map(({ job_id }) => job_id));
  return { user, groups, jobs };
}
