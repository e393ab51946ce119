import type { GroupInput } from '@countersign/protocol/admin-integrations';
import { groupsIn } from '../policy/compiled-policies.ts';
import { readAccessGroups } from './access-records.ts';
import { readIntegrations } from './integration-records.ts';
import { readApplications } from './organization-records.ts';
import { readGlobalPolicy } from './policy-records.ts';
import type { Outcome } from './record-change.ts';

/** Groups of users, as an administrator gives them. Within blocks of the organization. */

export type Group = {
  readonly groupId: string;
  readonly name: string;
  readonly members: readonly string[];
  /** Ids of integrations that are on trial with it. */
  readonly integrations: readonly string[];
  /** Ids of applications whose own policies, or rules of access, name it. */
  readonly applications: readonly string[];
  /** Whether the global policy does. */
  readonly inGlobalPolicy: boolean;
};

type GroupNotFound = { readonly ok: false; readonly code: 'group_not_found' };
const notFound: GroupNotFound = { ok: false, code: 'group_not_found' };

function membersOf(sql: SqlStorage, groupId: string): string[] {
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

export function findGroup(sql: SqlStorage, groupId: string): Group | undefined {
  const [row] = sql
    .exec<{ name: string }>('SELECT name FROM user_groups WHERE group_id = ?', groupId)
    .toArray();
  if (row === undefined) return undefined;
  const inAccess = readAccessGroups(sql);
  return {
    groupId,
    name: row.name,
    members: membersOf(sql, groupId),
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
    .exec<{ group_id: string; name: string; members: number }>(
      `SELECT group_id, name,
         (SELECT COUNT(*) FROM group_members WHERE group_members.group_id = user_groups.group_id)
           AS members
       FROM user_groups ORDER BY group_id`,
    )
    .toArray();
}

/** Creates a group or gives one its members anew. Only what differs is written. */
export function putGroup(
  sql: SqlStorage,
  groupId: string,
  { name, members }: GroupInput,
): Outcome<undefined> {
  const before = findGroup(sql, groupId);
  const wanted = new Set(members);
  const had = new Set(before?.members);
  const added = [...wanted].filter((user) => !had.has(user));
  const removed = [...had].filter((user) => !wanted.has(user));
  if (before?.name === name && added.length + removed.length === 0) {
    return { ok: true, value: undefined, event: undefined };
  }
  sql.exec(
    `INSERT INTO user_groups (group_id, name) VALUES (?, ?)
     ON CONFLICT (group_id) DO UPDATE SET name = excluded.name`,
    groupId,
    name,
  );
  for (const user of removed) {
    sql.exec('DELETE FROM group_members WHERE group_id = ? AND user_id = ?', groupId, user);
  }
  for (const user of added) {
    sql.exec('INSERT INTO group_members (group_id, user_id) VALUES (?, ?)', groupId, user);
  }
  return {
    ok: true,
    value: undefined,
    event: {
      event_type: before === undefined ? 'admin.group.create' : 'admin.group.update',
      debug_data: {
        group_id: groupId,
        added: String(added.length),
        removed: String(removed.length),
        added_users: added.slice(0, 16).join(' '),
        removed_users: removed.slice(0, 16).join(' '),
      },
    },
  };
}

/** Removes a group with which no integration is on trial, and that no policy names. */
export function removeGroup(
  sql: SqlStorage,
  groupId: string,
):
  | Outcome<undefined>
  | GroupNotFound
  | { readonly ok: false; readonly code: 'group_in_use'; readonly by: string } {
  const group = findGroup(sql, groupId);
  if (group === undefined) return notFound;
  const [by] = [
    ...group.integrations,
    ...group.applications,
    ...(group.inGlobalPolicy ? ['the global policy'] : []),
  ];
  if (by !== undefined) return { ok: false, code: 'group_in_use', by };
  sql.exec('DELETE FROM group_members WHERE group_id = ?', groupId);
  sql.exec('DELETE FROM user_groups WHERE group_id = ?', groupId);
  return {
    ok: true,
    value: undefined,
    event: { event_type: 'admin.group.delete', debug_data: { group_id: groupId } },
  };
}
