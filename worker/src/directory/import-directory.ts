import type { DirectoryImport, ImportedUser } from '@countersign/protocol/admin-directory';
import { nameKey } from '@countersign/protocol/name-key';
import { emptyProfile, type UserProfile } from '../scim/user-profile.ts';
import type { UserDescription } from '../scim/user-steps.ts';
import { carryOutPlan } from './change-directory-user.ts';
import { createGroup, memberFacts } from './change-group.ts';
import { newGroupId, readDirectoryGroupIds } from './directory-group-records.ts';
import {
  excessOf,
  groupScope,
  noteRemovals,
  type QuotaReached,
  type Removals,
  removalsOf,
  usersScope,
} from './directory-quota.ts';
import { readDirectorySync } from './directory-settings.ts';
import { planUser, type UserPlan } from './directory-user-plan.ts';
import {
  countDirectoryUsers,
  type DirectoryUser,
  readAllPeople,
} from './directory-user-records.ts';
import type { DirectoryContext } from './directory-user-standing.ts';
import { changeMembers } from './group-versions.ts';
import type { AdminEvent, Outcome } from './record-change.ts';

/** A whole file of people, for those without SCIM: planned first, then done in one block, or not at all. */

export type ImportCounts = {
  readonly users: Record<
    'created' | 'changed' | 'replaced' | 'deactivated' | 'reactivated' | 'unchanged',
    number
  >;
  readonly groups: { readonly created: number; readonly changed: number };
};

export type ImportRefusal =
  | QuotaReached
  /** `field` names the person in the request. */
  | {
      readonly ok: false;
      readonly code: 'field_invalid';
      readonly field: string;
      readonly detail: string;
    };

type PlannedUser = { readonly plan: UserPlan; readonly groups: readonly string[] | undefined };

const invalid = (index: number, name: string, detail: string) =>
  ({ ok: false, code: 'field_invalid', field: `users.${index}.${name}`, detail }) as const;

/** What a file says of a person; what it has no column for stays as it was. */
function describe(
  given: ImportedUser,
  before: Pick<DirectoryUser, 'profile' | 'external_id'> | undefined,
): UserDescription {
  const profile: UserProfile = before?.profile ?? emptyProfile;
  return {
    userName: given.user_name,
    externalId: given.external_id ?? before?.external_id ?? undefined,
    active: given.active,
    profile: {
      ...profile,
      ...(given.display_name === undefined ? {} : { displayName: given.display_name }),
      ...(given.email === undefined
        ? {}
        : { emails: [{ value: given.email, type: 'work', primary: true }] }),
    },
  };
}

function planUsers(
  sql: SqlStorage,
  { users, complete }: DirectoryImport,
): { readonly ok: true; readonly planned: readonly PlannedUser[] } | ImportRefusal {
  const { subject } = readDirectorySync(sql);
  const people = readAllPeople(sql);
  const planned: PlannedUser[] = [];
  const names = new Set<string>();
  const externalIds = new Set<string>();
  const found = new Set<string>();
  for (const [index, given] of users.entries()) {
    const key = nameKey(given.user_name);
    if (names.has(key)) return invalid(index, 'user_name', 'is named twice');
    names.add(key);
    const { external_id } = given;
    if (external_id !== undefined && externalIds.has(external_id)) {
      return invalid(index, 'external_id', 'is named twice');
    }
    if (external_id !== undefined) externalIds.add(external_id);
    const before =
      (external_id === undefined ? undefined : people.withExternalId(external_id)) ??
      people.named(key);
    if (before !== undefined && found.has(before.scim_id)) {
      return invalid(
        index,
        'user_name',
        'is the name of a person whom another line renames: send that line first, in a file of its own',
      );
    }
    // The name has been given to somebody else: nothing of who had it before is theirs.
    const isAnother =
      external_id !== undefined && ![external_id, null, undefined].includes(before?.external_id);
    const next = describe(given, isAnother ? undefined : before);
    const result = planUser(sql, people, subject, before, next, isAnother);
    if (!result.ok) {
      const name = result.detail.includes('externalId') ? 'external_id' : 'user_name';
      return invalid(index, name, result.detail);
    }
    if (before !== undefined) found.add(before.scim_id);
    planned.push({ plan: result.plan, groups: given.groups ?? (isAnother ? [] : undefined) });
  }
  if (!complete) return { ok: true, planned };
  const missing = people.all.filter(({ scim_id, active }) => active === 1 && !found.has(scim_id));
  for (const before of missing) {
    const next: UserDescription = {
      userName: before.user_name,
      externalId: before.external_id ?? undefined,
      active: false,
      profile: before.profile,
    };
    const result = planUser(sql, people, subject, before, next);
    if (result.ok) planned.push({ plan: result.plan, groups: undefined });
  }
  return { ok: true, planned };
}

type GroupPlan = {
  /** `undefined`: made anew. */
  readonly groupId: string | undefined;
  readonly name: string;
  readonly added: string[];
  readonly removed: string[];
};

/** The groups of the directory that people are in: for each user their names, by `nameKey()`. */
function readMemberships(sql: SqlStorage): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const rows = sql.exec<{ user_id: string; name: string }>(
    `SELECT user_id, name FROM user_groups JOIN group_members USING (group_id)
     WHERE origin = 'directory'`,
  );
  const groups = new Map<string, Map<string, string>>();
  for (const { user_id, name } of rows) {
    const known = groups.get(user_id) ?? new Map<string, string>();
    groups.set(user_id, known.set(nameKey(name), name));
  }
  return groups;
}

function planGroups(sql: SqlStorage, planned: readonly PlannedUser[]): GroupPlan[] {
  const known = readDirectoryGroupIds(sql);
  const plans = new Map<string, GroupPlan>();
  const planOf = (name: string): GroupPlan => {
    const key = nameKey(name);
    const begun = plans.get(key);
    if (begun !== undefined) return begun;
    const plan: GroupPlan = { groupId: known.get(key), name, added: [], removed: [] };
    plans.set(key, plan);
    return plan;
  };
  const none: ReadonlyMap<string, string> = new Map();
  const memberships = readMemberships(sql);
  for (const { plan, groups } of planned) {
    if (groups === undefined) continue;
    // Under a new name a person is in the groups of the old one: they go along. To another person they do not.
    const before = plan.before?.user_id ?? '';
    const present = memberships.get(before) ?? none;
    const wanted = new Map(groups.map((name) => [nameKey(name), name]));
    if (plan.isAnother && before !== plan.userId) {
      for (const name of present.values()) planOf(name).removed.push(before);
      for (const name of wanted.values()) planOf(name).added.push(plan.userId);
      continue;
    }
    for (const [key, name] of wanted) if (!present.has(key)) planOf(name).added.push(plan.userId);
    for (const [key, name] of present) {
      if (!wanted.has(key)) planOf(name).removed.push(plan.userId);
    }
  }
  return [...plans.values()].filter(
    ({ groupId, added, removed }) => groupId === undefined || added.length + removed.length > 0,
  );
}

const isReactivation = ({ before, next }: UserPlan) => before?.active === 0 && next.active;

type ScopedRemovals = Removals & { readonly scope: string };

/** What the file takes away: people their access, and from groups that decide about sign-ins their members. */
function removalsIn(
  sql: SqlStorage,
  planned: readonly PlannedUser[],
  groups: readonly GroupPlan[],
): ScopedRemovals[] {
  const userIds = planned.flatMap(({ plan }) => plan.removals);
  const present = () => countDirectoryUsers(sql).active;
  const ofGroups = groups.flatMap((group) => {
    const { groupId } = group;
    const found = groupId === undefined ? undefined : removalsOf(sql, groupId, group);
    return groupId === undefined || found === undefined
      ? []
      : [{ scope: groupScope(groupId), ...found }];
  });
  return [{ scope: usersScope, userIds, present }, ...ofGroups];
}

export function importDirectory(
  sql: SqlStorage,
  input: DirectoryImport,
  context: DirectoryContext,
): Outcome<ImportCounts & { readonly within_quota: boolean }> | ImportRefusal {
  const users = planUsers(sql, input);
  if (!users.ok) return users;
  const groups = planGroups(sql, users.planned);
  const counts: ImportCounts = {
    users: { created: 0, changed: 0, replaced: 0, deactivated: 0, reactivated: 0, unchanged: 0 },
    groups: {
      created: groups.filter(({ groupId }) => groupId === undefined).length,
      changed: groups.filter(({ groupId }) => groupId !== undefined).length,
    },
  };
  const removals = removalsIn(sql, users.planned, groups);
  const { nowMs } = context;
  // Whoever sends a file is told, and what SCIM may do is not stopped for it.
  const [excess] = removals.flatMap((each) => excessOf(sql, each.scope, each, nowMs) ?? []);
  if (!input.dry_run && !input.ignore_quota) {
    if (excess !== undefined) return excess;
    for (const each of removals) noteRemovals(sql, each.scope, each, nowMs);
  }
  const events: AdminEvent[] = [];
  for (const { plan } of users.planned) {
    counts.users[kindOf(plan)] += 1;
    if (!input.dry_run) events.push(...carryOutPlan(sql, plan, context).events);
  }
  const value = { ...counts, within_quota: excess === undefined };
  if (input.dry_run) return { ok: true, value, event: undefined };
  for (const group of groups) events.push(changeGroup(sql, group, nowMs));
  if (events.length === 0) return { ok: true, value, event: undefined };
  const event: AdminEvent = {
    event_type: 'admin.directory.import',
    debug_data: {
      ...Object.fromEntries(Object.entries(counts.users).map(([k, v]) => [k, String(v)])),
      groups_created: String(counts.groups.created),
      groups_changed: String(counts.groups.changed),
      ...(input.complete ? { complete: 'true' } : {}),
      ...(input.ignore_quota ? { override: 'true' } : {}),
    },
  };
  return { ok: true, value, event, further: events };
}

function kindOf(plan: UserPlan): keyof ImportCounts['users'] {
  const { before, next, isRenamed, isAnother } = plan;
  if (before === undefined) return 'created';
  if (isAnother) return 'replaced';
  if (before.active === 1 && !next.active) return 'deactivated';
  if (isReactivation(plan)) return 'reactivated';
  const isSame =
    !isRenamed &&
    before.user_name === next.userName &&
    (before.external_id ?? undefined) === next.externalId &&
    JSON.stringify(before.profile) === JSON.stringify(next.profile);
  return isSame ? 'unchanged' : 'changed';
}

function changeGroup(
  sql: SqlStorage,
  { groupId: known, name, added, removed }: GroupPlan,
  nowMs: number,
): AdminEvent {
  const groupId = known ?? newGroupId(sql, name);
  if (known === undefined) {
    createGroup(sql, { groupId, name, origin: 'directory', externalId: null }, nowMs);
  }
  sql.exec('UPDATE user_groups SET changed_at_ms = ? WHERE group_id = ?', nowMs, groupId);
  changeMembers(sql, groupId, { added, removed });
  return {
    event_type: known === undefined ? 'admin.group.create' : 'admin.group.update',
    debug_data: { group_id: groupId, name, ...memberFacts(added, removed) },
  };
}
