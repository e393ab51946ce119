import { groupScope, removalsOf, takeRemovals } from './directory-quota.ts';
import { changeMembers } from './group-versions.ts';
import type { AdminEvent } from './record-change.ts';

/** What becomes of a person's memberships when the directory renames or deletes them. Within blocks of the organization. */

/** Takes a user out of every group, and puts another in their place. */
export function moveMemberships(sql: SqlStorage, userId: string, to: string): void {
  const groups = sql
    .exec<{ group_id: string }>('SELECT group_id FROM group_members WHERE user_id = ?', userId)
    .toArray();
  for (const { group_id } of groups) {
    changeMembers(sql, group_id, { removed: [userId], added: [to] });
  }
}

/**
 * Takes a user out of the directory's groups. One that decides about sign-ins keeps who would be too many to go: it may
 * keep somebody out, who may come back under the same name. What administrators gave stays.
 */
export function forgetMemberships(sql: SqlStorage, userId: string, nowMs: number): AdminEvent[] {
  const groups = sql
    .exec<{ group_id: string }>(
      `SELECT group_id FROM group_members JOIN user_groups USING (group_id)
       WHERE user_id = ? AND origin = 'directory'`,
      userId,
    )
    .toArray();
  return groups.flatMap(({ group_id }) => {
    const change = { removed: [userId], added: [] };
    const removals = removalsOf(sql, group_id, change);
    const refused =
      removals === undefined ? undefined : takeRemovals(sql, groupScope(group_id), removals, nowMs);
    if (refused !== undefined) return refused.event === undefined ? [] : [refused.event];
    changeMembers(sql, group_id, change);
    return [];
  });
}
