import { maxGroupMembers } from '@countersign/protocol/admin-integrations';
import { nameKey } from '@countersign/protocol/name-key';
import type { DescribedGroup } from '../scim/describe-resources.ts';
import type { GivenGroup, GroupStep } from '../scim/group-steps.ts';
import { type ExpectedVersions, isExpected } from './change-directory-user.ts';
import { createGroup, memberFacts, membersOf, removeGroup } from './change-group.ts';
import {
  countMembers,
  type DirectoryGroup,
  describeDirectoryGroup,
  findDirectoryGroup,
  newGroupId,
  readDirectoryGroupIds,
} from './directory-group-records.ts';
import { groupScope, type QuotaReached, removalsOf, takeRemovals } from './directory-quota.ts';
import { findDirectoryUser } from './directory-user-records.ts';
import { changeMembers, type MemberChange } from './group-versions.ts';
import { readVersion } from './organization-settings.ts';
import type { Outcome } from './record-change.ts';

/** Groups as a directory brings and changes them. Within blocks of the organization. */

export type GroupEdit =
  | { readonly kind: 'replace'; readonly given: GivenGroup }
  | { readonly kind: 'patch'; readonly steps: readonly GroupStep[] };

export type DirectoryGroupRefusal =
  | QuotaReached
  | { readonly ok: false; readonly code: 'scim_conflict'; readonly detail: string }
  | { readonly ok: false; readonly code: 'scim_value_invalid'; readonly detail: string }
  | { readonly ok: false; readonly code: 'scim_resource_not_found' }
  | { readonly ok: false; readonly code: 'scim_version_mismatch' }
  | { readonly ok: false; readonly code: 'group_in_use'; readonly detail: string };

const notFound = { ok: false, code: 'scim_resource_not_found' } as const;
const mismatch = { ok: false, code: 'scim_version_mismatch' } as const;
const conflict = {
  ok: false,
  code: 'scim_conflict',
  detail: 'another group has this displayName',
} as const;

type InvalidMembers = Extract<DirectoryGroupRefusal, { code: 'scim_value_invalid' }>;
const invalidMembers = (detail: string): InvalidMembers => ({
  ok: false,
  code: 'scim_value_invalid',
  detail: `members: ${detail}`,
});
const tooMany = invalidMembers(`at most ${maxGroupMembers}`);

const isNameTaken = (sql: SqlStorage, name: string, groupId: string | undefined) => {
  const found = readDirectoryGroupIds(sql).get(nameKey(name));
  return found !== undefined && found !== groupId;
};

export function createDirectoryGroup(
  sql: SqlStorage,
  { displayName, externalId, members = [] }: GivenGroup,
  nowMs: number,
): Outcome<DescribedGroup> | DirectoryGroupRefusal {
  if (isNameTaken(sql, displayName, undefined)) return conflict;
  const resolved = resolve(sql, members);
  if (!resolved.ok) return resolved;
  const groupId = newGroupId(sql, displayName);
  const added = [...resolved.userIds];
  const origin = 'directory';
  const group = { groupId, name: displayName, origin, externalId: externalId ?? null } as const;
  createGroup(sql, group, nowMs);
  changeMembers(sql, groupId, { added, removed: [] });
  return {
    ok: true,
    value: described(sql, groupId, nowMs),
    event: {
      event_type: 'admin.group.create',
      debug_data: { group_id: groupId, name: displayName, ...memberFacts(added, []) },
    },
  };
}

/** User ids of members, each once. */
function resolve(sql: SqlStorage, ids: readonly string[]) {
  const userIds = new Set<string>();
  for (const id of new Set(ids)) {
    const user = findDirectoryUser(sql, id);
    if (user === undefined) return invalidMembers(`${id.slice(0, 64)} is no user`);
    userIds.add(user.user_id);
  }
  return userIds.size > maxGroupMembers ? tooMany : ({ ok: true, userIds } as const);
}

function described(sql: SqlStorage, groupId: string, nowMs: number): DescribedGroup {
  const group = findDirectoryGroup(sql, groupId);
  if (group === undefined) throw new TypeError('described while it is there');
  return describeDirectoryGroup(sql, group, false, nowMs);
}

type Next = {
  readonly name: string;
  readonly externalId: string | null;
  readonly members: MemberChange;
};

type Planned = { readonly ok: true; readonly next: Next } | InvalidMembers;

/** What a PUT does not say stays as it is: members that are not named are not thereby removed. */
function stepsOf(change: GroupEdit): readonly GroupStep[] {
  if (change.kind === 'patch') return change.steps;
  const { displayName, externalId, members } = change.given;
  return [
    { set: 'displayName', value: displayName },
    ...(externalId === undefined ? [] : [{ set: 'externalId', value: externalId } as const]),
    ...(members === undefined ? [] : [{ set: 'members', to: 'only', ids: [...members] } as const]),
  ];
}

/** What is to be added and removed in the end, whatever the steps do in between. Members are read once. */
function plan(sql: SqlStorage, before: DirectoryGroup, change: GroupEdit): Planned {
  let { name, external_id: externalId } = before;
  const present: ReadonlySet<string> = new Set(membersOf(sql, before.group_id));
  let members = new Set(present);
  for (const step of stepsOf(change)) {
    if (step.set === 'displayName') name = step.value;
    else if (step.set === 'externalId') externalId = step.value ?? null;
    else if (step.to === 'without') {
      for (const id of new Set(step.ids)) {
        const user = findDirectoryUser(sql, id);
        // Who is gone is in no group.
        if (user !== undefined) members.delete(user.user_id);
      }
    } else {
      const resolved = resolve(sql, step.ids);
      if (!resolved.ok) return resolved;
      if (step.to === 'only') members = new Set();
      for (const user of resolved.userIds) members.add(user);
    }
  }
  const added = [...members].filter((user) => !present.has(user));
  const removed = [...present].filter((user) => !members.has(user));
  return { ok: true, next: { name, externalId, members: { added, removed } } };
}

export function changeDirectoryGroup(
  sql: SqlStorage,
  groupId: string,
  change: GroupEdit,
  expected: ExpectedVersions,
  nowMs: number,
): Outcome<DescribedGroup> | DirectoryGroupRefusal {
  const before = findDirectoryGroup(sql, groupId);
  if (before === undefined) return notFound;
  if (!isExpected(expected, before.version)) return mismatch;
  const planned = plan(sql, before, change);
  if (!planned.ok) return planned;
  const { name, externalId, members } = planned.next;
  if (isNameTaken(sql, name, groupId)) return conflict;
  const { added, removed } = members;
  if (countMembers(sql, groupId) + added.length - removed.length > maxGroupMembers) return tooMany;
  const removals = removalsOf(sql, groupId, members);
  const refused =
    removals === undefined ? undefined : takeRemovals(sql, groupScope(groupId), removals, nowMs);
  if (refused !== undefined) return refused;
  const isSame =
    name === before.name &&
    externalId === before.external_id &&
    members.added.length + members.removed.length === 0;
  if (isSame) return { ok: true, value: described(sql, groupId, nowMs), event: undefined };
  sql.exec(
    `UPDATE user_groups SET name = ?, external_id = ?, changed_at_ms = ?, version = ?
     WHERE group_id = ?`,
    name,
    externalId,
    nowMs,
    readVersion(sql) + 1,
    groupId,
  );
  changeMembers(sql, groupId, members);
  return {
    ok: true,
    value: described(sql, groupId, nowMs),
    event: {
      event_type: 'admin.group.update',
      debug_data: { group_id: groupId, name, ...memberFacts(members.added, members.removed) },
    },
  };
}

export function removeDirectoryGroup(
  sql: SqlStorage,
  groupId: string,
  expected: ExpectedVersions,
): Outcome<undefined> | DirectoryGroupRefusal {
  const before = findDirectoryGroup(sql, groupId);
  if (before === undefined) return notFound;
  if (!isExpected(expected, before.version)) return mismatch;
  const removed = removeGroup(sql, groupId, 'directory');
  if (removed.ok) return removed;
  return removed.code === 'group_in_use'
    ? { ok: false, code: removed.code, detail: removed.by }
    : notFound;
}
