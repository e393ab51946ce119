import type { DescribedGroup, DescribedUser } from '../scim/describe-resources.ts';
import type { SqlCondition } from '../scim/filter-sql.ts';
import { describeRow } from './change-directory-user.ts';
import {
  countMembers,
  describeDirectoryGroup,
  directoryGroupSql,
  readDirectoryGroup,
} from './directory-group-records.ts';
import { directoryUserSql, readDirectoryUser } from './directory-user-records.ts';

/** Pages of the directory's resources, in the order of their ids. */

export type PageQuery = {
  readonly condition: SqlCondition;
  /** From 1. */
  readonly startIndex: number;
  readonly count: number;
};

export type Page<Item> = { readonly total: number; readonly items: readonly Item[] };

const countOf = (sql: SqlStorage, from: string, bindings: SqlCondition['bindings']) =>
  sql.exec<{ total: number }>(`SELECT COUNT(*) AS total ${from}`, ...bindings).one().total;

export function listDirectoryUsers(
  sql: SqlStorage,
  { condition, startIndex, count }: PageQuery,
): Page<DescribedUser> {
  const from = `FROM directory_users d JOIN users u ON u.user_id = d.user_id WHERE ${condition.sql}`;
  const rows = sql
    .exec(
      `SELECT ${directoryUserSql} WHERE ${condition.sql} ORDER BY d.scim_id LIMIT ? OFFSET ?`,
      ...condition.bindings,
      count,
      startIndex - 1,
    )
    .toArray()
    .map(readDirectoryUser);
  return {
    total: countOf(sql, from, condition.bindings),
    items: rows.map((row) => describeRow(sql, row)),
  };
}

/** A page ends early, though with one group at least, when its members are more than this. */
const membersPerPage = 20_000;

export function listDirectoryGroups(
  sql: SqlStorage,
  { condition, startIndex, count }: PageQuery,
  withMembers: boolean,
  nowMs: number,
): Page<DescribedGroup> {
  const from = `FROM user_groups g WHERE g.origin = 'directory' AND ${condition.sql}`;
  const rows = sql
    .exec(
      `SELECT ${directoryGroupSql} AND ${condition.sql} ORDER BY g.group_id LIMIT ? OFFSET ?`,
      ...condition.bindings,
      count,
      startIndex - 1,
    )
    .toArray()
    .map(readDirectoryGroup);
  const items: DescribedGroup[] = [];
  let members = 0;
  for (const row of rows) {
    members += withMembers ? countMembers(sql, row.group_id) : 0;
    if (items.length > 0 && members > membersPerPage) break;
    items.push(describeDirectoryGroup(sql, row, withMembers, nowMs));
  }
  return { total: countOf(sql, from, condition.bindings), items };
}
