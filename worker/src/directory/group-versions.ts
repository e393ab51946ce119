import * as z from 'zod/mini';
import { readVersion } from './organization-settings.ts';

/**
 * Members of groups, so that whoever holds a group at some version takes over only what has changed since. A group's
 * version is the organization's at its last change of members; the journal holds single changes, a large one begins it
 * anew. Within blocks of the organization.
 */

/** A change of more members than this is not worth a journal: the whole group is taken over. */
const largestJournaledChange = 500;
/** A journal that grew longer than this begins anew. */
const longestJournal = 2_000;

/** Characters of members after which an answer holds no further group whole: calls between objects have a largest size. */
const longestAnswer = 8 * 1024 * 1024;

export type MemberChange = {
  readonly added: readonly string[];
  readonly removed: readonly string[];
};

/** Changes the members of a group that is there. What is no change may be among them. */
export function changeMembers(
  sql: SqlStorage,
  groupId: string,
  { added, removed }: MemberChange,
): void {
  if (added.length + removed.length === 0) return;
  // The version that the change is about to make: `record-change.ts`.
  const version = readVersion(sql) + 1;
  for (const user of removed) {
    sql.exec('DELETE FROM group_members WHERE group_id = ? AND user_id = ?', groupId, user);
  }
  for (const user of added) {
    sql.exec(
      'INSERT INTO group_members (group_id, user_id) VALUES (?, ?) ON CONFLICT DO NOTHING',
      groupId,
      user,
    );
  }
  sql.exec('UPDATE user_groups SET version = ? WHERE group_id = ?', version, groupId);
  const isLarge = added.length + removed.length > largestJournaledChange;
  if (isLarge || journalLength(sql, groupId) > longestJournal) {
    beginJournal(sql, groupId, version);
    return;
  }
  const note = (user: string, isMember: 0 | 1) =>
    sql.exec(
      `INSERT OR REPLACE INTO group_changes (group_id, version, user_id, is_member)
       VALUES (?, ?, ?, ?)`,
      groupId,
      version,
      user,
      isMember,
    );
  for (const user of removed) note(user, 0);
  for (const user of added) note(user, 1);
}

const journalLength = (sql: SqlStorage, groupId: string) =>
  sql
    .exec<{ count: number }>(
      'SELECT COUNT(*) AS count FROM group_changes WHERE group_id = ?',
      groupId,
    )
    .one().count;

function beginJournal(sql: SqlStorage, groupId: string, version: number): void {
  sql.exec('DELETE FROM group_changes WHERE group_id = ?', groupId);
  sql.exec('UPDATE user_groups SET changes_from = ? WHERE group_id = ?', version, groupId);
}

/** Versions of groups that the asker has, by id. */
export type HeldVersions = Readonly<Record<string, number>>;

/** A group for an asker: as held, or what has changed since, or whole. The texts are lists that the database made. */
export type StoredGroup = { readonly groupId: string; readonly version: number } & (
  | { readonly kind: 'same' }
  /** Too much for this answer: to be asked for again, with what has come meanwhile. */
  | { readonly kind: 'later' }
  /** JSON list of `[user id, 1 or 0]`, in the order in which it happened: a member or no longer. */
  | { readonly kind: 'changes'; readonly changesJson: string }
  /** JSON list of user ids. */
  | { readonly kind: 'whole'; readonly membersJson: string }
);

const versionRow = z.object({ version: z.int(), changes_from: z.int() });

/**
 * The groups that an integration is on trial with or a policy names, and no others. What it costs follows from what the
 * asker lacks.
 */
export function readStoredGroups(
  sql: SqlStorage,
  named: Iterable<string>,
  held: HeldVersions,
): StoredGroup[] {
  let length = 0;
  return [...new Set(named)].map((groupId) => {
    const group = readStoredGroup(sql, groupId, held, length < longestAnswer);
    if (group.kind === 'whole') length += group.membersJson.length;
    return group;
  });
}

function readStoredGroup(
  sql: SqlStorage,
  groupId: string,
  held: HeldVersions,
  hasRoom: boolean,
): StoredGroup {
  const [row] = sql
    .exec('SELECT version, changes_from FROM user_groups WHERE group_id = ?', groupId)
    .toArray();
  // A group that there is not has no members, whatever the asker holds under its name.
  if (row === undefined) return { groupId, version: 0, kind: 'whole', membersJson: '[]' };
  const { version, changes_from } = versionRow.parse(row);
  const heldVersion = Object.hasOwn(held, groupId) ? (held[groupId] ?? 0) : 0;
  if (heldVersion === version) return { groupId, version, kind: 'same' };
  if (heldVersion >= changes_from && heldVersion < version) {
    const changesJson = sql
      .exec<{ json: string }>(
        `SELECT json_group_array(json_array(user_id, is_member)) AS json FROM (
           SELECT user_id, is_member FROM group_changes
           WHERE group_id = ? AND version > ? ORDER BY version)`,
        groupId,
        heldVersion,
      )
      .one().json;
    return { groupId, version, kind: 'changes', changesJson };
  }
  if (!hasRoom) return { groupId, version, kind: 'later' };
  const membersJson = sql
    .exec<{ json: string }>(
      'SELECT json_group_array(user_id) AS json FROM group_members WHERE group_id = ?',
      groupId,
    )
    .one().json;
  return { groupId, version, kind: 'whole', membersJson };
}

/** Members as an isolate holds them. */
export type HeldGroup = { readonly version: number; readonly members: ReadonlySet<string> };

const members = z.array(z.string());
const changes = z.array(z.tuple([z.string(), z.union([z.literal(0), z.literal(1)])]));

/**
 * What the asker has then; groups that come later are left out. Sets are never changed in place: a request may still be
 * judged by an older one.
 *
 * @throws Error where the answer builds on what is not held
 */
export function openGroups(
  stored: readonly StoredGroup[],
  held: ReadonlyMap<string, HeldGroup>,
): ReadonlyMap<string, HeldGroup> {
  return new Map(
    stored.flatMap((group) =>
      group.kind === 'later'
        ? []
        : [[group.groupId, openGroup(group, held.get(group.groupId))] as const],
    ),
  );
}

function openGroup(
  stored: Exclude<StoredGroup, { kind: 'later' }>,
  held: HeldGroup | undefined,
): HeldGroup {
  const { version } = stored;
  if (stored.kind === 'whole') {
    return { version, members: new Set(members.parse(JSON.parse(stored.membersJson))) };
  }
  if (held === undefined) throw new Error(`group ${stored.groupId} is not held`);
  if (stored.kind === 'same') return held;
  const changed = new Set(held.members);
  for (const [user, isMember] of changes.parse(JSON.parse(stored.changesJson))) {
    if (isMember === 1) changed.add(user);
    else changed.delete(user);
  }
  return { version, members: changed };
}
