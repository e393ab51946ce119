import { groupsIn } from '@countersign/policy';
import type { GroupInput } from '@countersign/protocol/admin-integrations';
import * as z from 'zod/mini';
import { readAccessGroups } from './access-records.ts';
import { changeMembers } from './group-versions.ts';
import { readIntegrations } from './integration-records.ts';
import { readApplications } from './organization-records.ts';
import { readVersion } from './organization-settings.ts';
import { readGlobalPolicy } from './policy-records.ts';
import type { Outcome } from './record-change.ts';

/** Groups of users, as an administrator gives them or a directory brings them. Within blocks of the organization. */

export const groupOrigins = ['administrator', 'directory'] as const;
export type GroupOrigin = (typeof groupOrigins)[number];

export type Group = {
  readonly groupId: string;
  readonly name: string;
  readonly members: readonly string[];
  readonly origin: GroupOrigin;
  /** Ids of integrations that are on trial with it. */
  readonly integrations: readonly string[];
  /** Ids of applications whose own policies, or rules of access, name it. */
  readonly applications: readonly string[];
  /** Whether the global policy does. */
  readonly inGlobalPolicy: boolean;
};

type GroupOwned = { readonly ok: false; readonly code: 'group_owned_by_directory' };
const owned: GroupOwned = { ok: false, code: 'group_owned_by_directory' };

type GroupNotFound = { readonly ok: false; readonly code: 'group_not_found' };
const notFound: GroupNotFound = { ok: false, code: 'group_not_found' };

export function membersOf(sql: SqlStorage, groupId: string): string[] {
  return sql
    .exec<{ user_id: string }>(
      'SELECT user_id FROM group_members WHERE group_id = ? ORDER BY user_id',
      groupId,
    )
    .toArray()
    .map(({ user_id }) => user_id);
}

function integrationsOnTrial(sql: SqlStorage, groupId: string): string[] {
  return [...readIntegrations(sql).values()]
    .filter(({ state }) => state.mode === 'test_groups' && state.groups.includes(groupId))
    .map(({ integration_id }) => integration_id);
}

/** What names the group: while anything does, who is in it decides about sign-ins. */
export function usesOfGroup(
  sql: SqlStorage,
  groupId: string,
): Pick<Group, 'integrations' | 'applications' | 'inGlobalPolicy'> {
  const inAccess = readAccessGroups(sql);
  return {
    integrations: integrationsOnTrial(sql, groupId),
    applications: [...readApplications(sql).values()]
      .filter(
        ({ application_id, policy }) =>
          groupsIn(policy).has(groupId) || inAccess.get(application_id)?.has(groupId) === true,
      )
      .map(({ application_id }) => application_id),
    inGlobalPolicy: groupsIn(readGlobalPolicy(sql).policy).has(groupId),
  };
}

/** For people: each of what names a group. */
export const namesOfUses = ({
  integrations,
  applications,
  inGlobalPolicy,
}: ReturnType<typeof usesOfGroup>): string[] => [
  ...integrations,
  ...applications,
  ...(inGlobalPolicy ? ['the global policy'] : []),
];

export function findGroup(sql: SqlStorage, groupId: string): Group | undefined {
  const [found] = sql
    .exec('SELECT name, origin FROM user_groups WHERE group_id = ?', groupId)
    .toArray();
  if (found === undefined) return undefined;
  const row = groupRow.parse(found);
  return { groupId, ...row, members: membersOf(sql, groupId), ...usesOfGroup(sql, groupId) };
}

const groupRow = z.object({ name: z.string(), origin: z.enum(groupOrigins) });

export const readGroupIds = (sql: SqlStorage): ReadonlySet<string> =>
  new Set(
    sql
      .exec<{ group_id: string }>('SELECT group_id FROM user_groups')
      .toArray()
      .map(({ group_id }) => group_id),
  );

/** Members of these groups; a group that there is not has none. */
export const readMembers = (
  sql: SqlStorage,
  groupIds: readonly string[],
): ReadonlyMap<string, ReadonlySet<string>> =>
  new Map(groupIds.map((id) => [id, new Set(membersOf(sql, id))]));

/** Those of these groups that the user is in. */
export const groupsOfUser = (
  sql: SqlStorage,
  userId: string,
  groupIds: readonly string[],
): string[] =>
  groupIds.filter(
    (id) =>
      sql
        .exec('SELECT 1 FROM group_members WHERE group_id = ? AND user_id = ?', id, userId)
        .toArray().length > 0,
  );

export function listGroups(sql: SqlStorage) {
  return sql
    .exec<{ group_id: string; name: string; origin: string; members: number }>(
      `SELECT group_id, name, origin,
         (SELECT COUNT(*) FROM group_members WHERE group_members.group_id = user_groups.group_id)
           AS members
       FROM user_groups ORDER BY group_id`,
    )
    .toArray()
    .map((row) => ({ ...row, origin: z.enum(groupOrigins).parse(row.origin) }));
}

/** Makes a group, without members yet. */
export function createGroup(
  sql: SqlStorage,
  {
    groupId,
    name,
    origin,
    externalId,
  }: Pick<Group, 'groupId' | 'name' | 'origin'> & { readonly externalId: string | null },
  nowMs: number,
): void {
  // Later than any group of this id that somebody may still hold.
  const version = readVersion(sql) + 1;
  sql.exec(
    `INSERT INTO user_groups (group_id, name, origin, external_id, version, changes_from,
       created_at_ms, changed_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    groupId,
    name,
    origin,
    externalId,
    version,
    version,
    nowMs,
    nowMs,
  );
}

/** What the log says of a change of members: how many, and the first of them. */
export const memberFacts = (added: readonly string[], removed: readonly string[]) => ({
  added: String(added.length),
  removed: String(removed.length),
  added_users: added.slice(0, 16).join(' '),
  removed_users: removed.slice(0, 16).join(' '),
});

/** Creates a group or gives one its members anew. Only what differs is written. */
export function putGroup(
  sql: SqlStorage,
  groupId: string,
  { name, members }: GroupInput,
  nowMs: number,
): Outcome<undefined> | GroupOwned {
  const before = findGroup(sql, groupId);
  if (before?.origin === 'directory') return owned;
  const wanted = new Set(members);
  const had = new Set(before?.members);
  const added = [...wanted].filter((user) => !had.has(user));
  const removed = [...had].filter((user) => !wanted.has(user));
  if (before?.name === name && added.length + removed.length === 0) {
    return { ok: true, value: undefined, event: undefined };
  }
  if (before === undefined) {
    createGroup(sql, { groupId, name, origin: 'administrator', externalId: null }, nowMs);
  } else sql.exec('UPDATE user_groups SET name = ? WHERE group_id = ?', name, groupId);
  sql.exec('UPDATE user_groups SET changed_at_ms = ? WHERE group_id = ?', nowMs, groupId);
  changeMembers(sql, groupId, { added, removed });
  return {
    ok: true,
    value: undefined,
    event: {
      event_type: before === undefined ? 'admin.group.create' : 'admin.group.update',
      debug_data: { group_id: groupId, ...memberFacts(added, removed) },
    },
  };
}

/**
 * Removes a group with which no integration is on trial, and that no policy names.
 *
 * @param asked whose groups the asker may remove
 */
export function removeGroup(
  sql: SqlStorage,
  groupId: string,
  asked: GroupOrigin,
):
  | Outcome<undefined>
  | GroupNotFound
  | GroupOwned
  | { readonly ok: false; readonly code: 'group_in_use'; readonly by: string } {
  const group = findGroup(sql, groupId);
  if (group === undefined) return notFound;
  if (group.origin !== asked) return owned;
  const [by] = namesOfUses(group);
  if (by !== undefined) return { ok: false, code: 'group_in_use', by };
  for (const table of ['group_members', 'group_changes', 'user_groups']) {
    sql.exec(`DELETE FROM ${table} WHERE group_id = ?`, groupId);
  }
  return {
    ok: true,
    value: undefined,
    event: { event_type: 'admin.group.delete', debug_data: { group_id: groupId } },
  };
}
