import { narrowingCompletesAfterMs } from '@countersign/protocol/limits';
import { nameKey } from '@countersign/protocol/name-key';
import * as z from 'zod/mini';
import type { DescribedGroup } from '../scim/describe-resources.ts';

/** Groups that the directory brought, as SCIM shows them. */

const directoryGroupRow = z.object({
  group_id: z.string(),
  name: z.string(),
  external_id: z.nullable(z.string()),
  version: z.int(),
  created_at_ms: z.int(),
  changed_at_ms: z.int(),
});
export type DirectoryGroup = z.infer<typeof directoryGroupRow>;

/** Columns of a query that has groups as `g`. */
export const directoryGroupSql = `g.group_id, g.name, g.external_id, g.version, g.created_at_ms,
  g.changed_at_ms FROM user_groups g WHERE g.origin = 'directory'`;

export const readDirectoryGroup = (row: unknown): DirectoryGroup => directoryGroupRow.parse(row);

function findBy(sql: SqlStorage, condition: string, value: string): DirectoryGroup | undefined {
  const [row] = sql.exec(`SELECT ${directoryGroupSql} AND ${condition}`, value).toArray();
  return row === undefined ? undefined : directoryGroupRow.parse(row);
}

export const findDirectoryGroup = (sql: SqlStorage, groupId: string) =>
  findBy(sql, 'g.group_id = ?', groupId);

/** Ids of the directory's groups by the `nameKey()` of their names. */
export function readDirectoryGroupIds(sql: SqlStorage): ReadonlyMap<string, string> {
  const rows = sql
    .exec<{ group_id: string; name: string }>(
      "SELECT group_id, name FROM user_groups WHERE origin = 'directory'",
    )
    .toArray();
  return new Map(rows.map(({ group_id, name }) => [nameKey(name), group_id]));
}

export const countMembers = (sql: SqlStorage, groupId: string): number =>
  sql
    .exec<{ count: number }>(
      'SELECT COUNT(*) AS count FROM group_members WHERE group_id = ?',
      groupId,
    )
    .one().count;

/** @param withMembers whether they were asked for: there may be many */
export function describeDirectoryGroup(
  sql: SqlStorage,
  group: DirectoryGroup,
  withMembers: boolean,
  nowMs: number,
): DescribedGroup {
  const members = withMembers
    ? sql
        .exec<{ id: string; name: string }>(
          `SELECT d.scim_id AS id, d.user_name AS name
           FROM group_members m JOIN directory_users d ON d.user_id = m.user_id
           WHERE m.group_id = ? ORDER BY d.scim_id`,
          group.group_id,
        )
        .toArray()
    : undefined;
  const completeAtMs = group.changed_at_ms + narrowingCompletesAfterMs;
  return {
    id: group.group_id,
    name: group.name,
    externalId: group.external_id,
    version: group.version,
    createdAtMs: group.created_at_ms,
    changedAtMs: group.changed_at_ms,
    members,
    completeAtMs: nowMs < completeAtMs ? completeAtMs : undefined,
  };
}

const longestSlug = 50;

/** An id that administrators can write into a policy, made of the name: `Sales (EMEA)` is `sales-emea`. */
export function newGroupId(sql: SqlStorage, name: string): string {
  const slug =
    name
      .normalize('NFKD')
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '-')
      .replaceAll(/^-+|-+$/g, '')
      .slice(0, longestSlug)
      .replace(/-+$/, '') || 'group';
  const isTaken = (id: string) =>
    sql.exec('SELECT 1 FROM user_groups WHERE group_id = ?', id).toArray().length > 0;
  let id = slug;
  for (let number = 2; isTaken(id); number += 1) id = `${slug}-${number}`;
  return id;
}
