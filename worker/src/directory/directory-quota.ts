import type { DirectoryResumption } from '@countersign/protocol/admin-directory';
import * as z from 'zod/mini';
import { namesOfUses, usesOfGroup } from './change-group.ts';
import { countMembers } from './directory-group-records.ts';
import { readDirectorySync } from './directory-settings.ts';
import type { MemberChange } from './group-versions.ts';
import { readSetting, writeSetting } from './organization-settings.ts';
import type { AdminEvent, Outcome } from './record-change.ts';

/**
 * How much a directory may take away before somebody has looked: people their access (scope `users`), and a group that
 * decides about sign-ins its members (scope: the group's id after `group:`). A directory in error stops here; what was
 * stopped is refused until an administrator lets it go on. Within blocks of the organization.
 */

export const usersScope = 'users';
export const groupScope = (groupId: string) => `group:${groupId}`;

const quotaState = z.object({
  stops: z.record(
    z.string(),
    z.object({
      since_ms: z.int(),
      refused: z.int(),
      // A stop from before they were kept has none.
      user_ids: z._default(z.array(z.string()), []),
    }),
  ),
  allowances: z.record(z.string(), z.object({ count: z.int(), until_ms: z.int() })),
});
type QuotaState = z.infer<typeof quotaState>;

const readState = (sql: SqlStorage): QuotaState =>
  quotaState.parse(
    JSON.parse(readSetting(sql, 'directory_quota') ?? '{"stops":{},"allowances":{}}'),
  );
const writeState = (sql: SqlStorage, state: QuotaState): void =>
  writeSetting(sql, 'directory_quota', JSON.stringify(state));

function countRemovals(sql: SqlStorage, scope: string, sinceMs: number): number {
  return sql
    .exec<{ count: number }>(
      `SELECT COALESCE(SUM(count), 0) AS count FROM directory_removals
       WHERE scope = ? AND removed_at_ms > ?`,
      scope,
      sinceMs,
    )
    .one().count;
}

/** `isLifted`: by an administrator, for now. */
export type Quota = {
  readonly counted: number;
  readonly allowed: number;
  readonly isLifted: boolean;
};

type Count = () => number;

/** @param present how many there are to be removed at this moment */
export function readQuota(sql: SqlStorage, scope: string, present: Count, nowMs: number): Quota {
  const { counted, least, isLifted, percent } = readLeast(sql, scope, nowMs);
  // The share is of those who were there when the period began.
  const share = Math.floor(((present() + counted) * percent) / 100);
  return { counted, allowed: Math.max(least, share), isLifted };
}

/** What is permitted whatever the share is: to count everybody is dear, and few removals need it. */
function readLeast(sql: SqlStorage, scope: string, nowMs: number) {
  const { max_removals, max_removals_percent, period_seconds } = readDirectorySync(sql);
  const counted = countRemovals(sql, scope, nowMs - period_seconds * 1000);
  const allowance = readState(sql).allowances[scope];
  const isLifted = allowance !== undefined && nowMs < allowance.until_ms;
  const least = Math.max(max_removals, isLifted ? allowance.count : 0);
  return { counted, least, isLifted, percent: max_removals_percent };
}

export type QuotaReached = {
  readonly ok: false;
  readonly code: 'directory_quota_reached';
  readonly detail: string;
  readonly event: AdminEvent | undefined;
};

/** Whether removals would be made if they were asked for now. */
function isWithin(
  sql: SqlStorage,
  scope: string,
  { userIds, present, emptiesGroup = false }: Removals,
  nowMs: number,
): boolean {
  const count = userIds.length;
  if (count === 0) return true;
  if (readState(sql).stops[scope] !== undefined) return false;
  const { counted, least, isLifted } = readLeast(sql, scope, nowMs);
  if (emptiesGroup && !isLifted) return false;
  return (
    counted + count <= least || counted + count <= readQuota(sql, scope, present, nowMs).allowed
  );
}

/** What is wrong with removals, or `undefined` where they may be made. Reads alone. */
export function excessOf(
  sql: SqlStorage,
  scope: string,
  removals: Removals,
  nowMs: number,
): QuotaReached | undefined {
  if (isWithin(sql, scope, removals, nowMs)) return undefined;
  const { userIds, present, emptiesGroup = false } = removals;
  const { counted, allowed, isLifted } = readQuota(sql, scope, present, nowMs);
  const detail =
    emptiesGroup && !isLifted
      ? `${scope} decides about sign-ins and would have no members left`
      : `${scope}: ${userIds.length} more after ${counted}, of ${allowed} in the period`;
  return { ok: false, code: 'directory_quota_reached', detail, event: undefined };
}

/** Of so many people a stop says who they are; it counts the requests of all. */
const namedInStop = 100;

/**
 * Refuses the directory what is too much, and counts what is not; nothing has been changed by then. The first refusal stops the scope, and is in
 * the log.
 */
export function takeRemovals(
  sql: SqlStorage,
  scope: string,
  removals: Removals,
  nowMs: number,
): QuotaReached | undefined {
  const excess = excessOf(sql, scope, removals, nowMs);
  if (excess === undefined) {
    noteRemovals(sql, scope, removals, nowMs);
    return undefined;
  }
  const state = readState(sql);
  const stop = state.stops[scope];
  const { since_ms, refused, user_ids } = stop ?? { since_ms: nowMs, refused: 0, user_ids: [] };
  const named = [...new Set([...user_ids, ...removals.userIds])].slice(0, namedInStop);
  const stopped = { since_ms, refused: refused + 1, user_ids: named };
  writeState(sql, { ...state, stops: { ...state.stops, [scope]: stopped } });
  const event: AdminEvent = {
    event_type: 'admin.directory.stop',
    outcome: 'FAILURE',
    reason: 'directory_quota_reached',
    debug_data: { scope, detail: excess.detail },
  };
  return stop === undefined ? { ...excess, event } : excess;
}

/** How many there are to be removed at this moment, and who of them is to go. */
export type Removals = {
  readonly userIds: readonly string[];
  readonly present: Count;
  readonly emptiesGroup?: boolean;
};

/** What a change takes from a group that decides about sign-ins; `undefined` of any other. */
export function removalsOf(
  sql: SqlStorage,
  groupId: string,
  { added, removed }: MemberChange,
): Removals | undefined {
  if (removed.length === 0) return undefined;
  if (namesOfUses(usesOfGroup(sql, groupId)).length === 0) return undefined;
  const present = countMembers(sql, groupId);
  return {
    userIds: removed,
    present: () => present,
    emptiesGroup: present + added.length === removed.length,
  };
}

/** Counts removals that are made. */
export function noteRemovals(
  sql: SqlStorage,
  scope: string,
  { userIds }: Pick<Removals, 'userIds'>,
  nowMs: number,
): void {
  const count = userIds.length;
  if (count === 0) return;
  const { period_seconds } = readDirectorySync(sql);
  sql.exec(
    'DELETE FROM directory_removals WHERE scope = ? AND removed_at_ms <= ?',
    scope,
    nowMs - period_seconds * 1000,
  );
  sql.exec(
    'INSERT INTO directory_removals (scope, removed_at_ms, count) VALUES (?, ?, ?)',
    scope,
    nowMs,
    count,
  );
}

export type Stop = {
  readonly scope: string;
  readonly since_ms: number;
  /** Requests. */
  readonly refused: number;
  /** The first of those who were not removed. */
  readonly user_ids: readonly string[];
};

export const readStops = (sql: SqlStorage): Stop[] =>
  Object.entries(readState(sql).stops).map(([scope, stop]) => ({ scope, ...stop }));

/** Lets go on what was stopped, or permits beforehand what would be: counted anew, from now on for a period. */
export function resumeDirectory(
  sql: SqlStorage,
  { group_id, removals }: DirectoryResumption,
  nowMs: number,
): Outcome<undefined> {
  const scope = group_id === undefined ? usersScope : groupScope(group_id);
  const { stops, allowances } = readState(sql);
  const { period_seconds, max_removals } = readDirectorySync(sql);
  const { [scope]: _, ...otherStops } = stops;
  const allowance = { count: removals ?? max_removals, until_ms: nowMs + period_seconds * 1000 };
  const current = Object.entries(allowances).filter(([, { until_ms }]) => nowMs < until_ms);
  writeState(sql, {
    stops: otherStops,
    allowances: { ...Object.fromEntries(current), [scope]: allowance },
  });
  sql.exec('DELETE FROM directory_removals WHERE scope = ?', scope);
  return {
    ok: true,
    value: undefined,
    event: {
      event_type: 'admin.directory.resume',
      debug_data: {
        scope,
        removals: String(allowance.count),
        refused: String(stops[scope]?.refused ?? 0),
      },
    },
  };
}
