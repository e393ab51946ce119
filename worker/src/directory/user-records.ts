import { nameKey } from '@countersign/protocol/name-key';
import * as z from 'zod/mini';

/**
 * Users as the organization knows them: those who have bound a certificate, whom an administrator has changed, or whom
 * a directory has brought.
 */

export const userRow = z.object({
  user_id: z.string(),
  active: z.union([z.literal(0), z.literal(1)]),
  epoch: z.int(),
  epoch_since_ms: z.int(),
  /** Made known by an administrator or the directory, and not only by a sign-in. */
  provisioned: z.union([z.literal(0), z.literal(1)]),
  /** An administrator has deactivated the user: no directory lets them in again. */
  held: z.union([z.literal(0), z.literal(1)]),
  /** The id as names are compared: `nameKey()`. */
  name_key: z.string(),
  /** A directory knows the user by this name: while inactive, nobody of any spelling signs in. */
  by_name: z.union([z.literal(0), z.literal(1)]),
});
export type UserRow = z.infer<typeof userRow>;

const columns = Object.keys(userRow.shape).join(', ');

/** What holds for a user of whom nothing is on record. */
export const unknownUser = (userId: string): UserRow => ({
  user_id: userId,
  active: 1,
  epoch: 1,
  epoch_since_ms: 0,
  provisioned: 0,
  held: 0,
  name_key: nameKey(userId),
  by_name: 0,
});

export function findUser(sql: SqlStorage, userId: string): UserRow | undefined {
  const [row] = sql.exec(`SELECT ${columns} FROM users WHERE user_id = ?`, userId).toArray();
  return row === undefined ? undefined : userRow.parse(row);
}

export function storeUser(sql: SqlStorage, user: UserRow): void {
  sql.exec(
    `INSERT INTO users (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (user_id) DO UPDATE SET active = excluded.active, epoch = excluded.epoch,
       epoch_since_ms = excluded.epoch_since_ms, provisioned = excluded.provisioned,
       held = excluded.held, by_name = excluded.by_name`,
    user.user_id,
    user.active,
    user.epoch,
    user.epoch_since_ms,
    user.provisioned,
    user.held,
    user.name_key,
    user.by_name,
  );
}

/** Whoever else has this name, in other spellings of it. */
export function findNamesakes(sql: SqlStorage, userId: string): UserRow[] {
  return sql
    .exec(
      `SELECT ${columns} FROM users WHERE name_key = ? AND user_id <> ?`,
      nameKey(userId),
      userId,
    )
    .toArray()
    .map((row) => userRow.parse(row));
}

/** Whether a directory has ended the user of this name, however it is spelled. */
export function isNameInactive(sql: SqlStorage, userId: string): boolean {
  const ended = sql.exec(
    'SELECT 1 FROM users WHERE name_key = ? AND by_name = 1 AND active = 0 LIMIT 1',
    nameKey(userId),
  );
  return ended.toArray().length > 0;
}

export type UserStanding = 'active' | 'inactive' | 'unknown';

/** Whether a certificate may be asked for in this user's name: not unless an administrator has made the user known. */
export function readUserStanding(sql: SqlStorage, userId: string): UserStanding {
  const user = findUser(sql, userId);
  if (user?.active === 0 || isNameInactive(sql, userId)) return 'inactive';
  return user?.provisioned === 1 ? 'active' : 'unknown';
}

/** A page of the ids of active users, in the order of their bytes. */
export function listActiveUsers(sql: SqlStorage, after: string, limit: number): string[] {
  return sql
    .exec<{ user_id: string }>(
      'SELECT user_id FROM users WHERE active = 1 AND user_id > ? ORDER BY user_id LIMIT ?',
      after,
      limit,
    )
    .toArray()
    .map(({ user_id }) => user_id);
}

/** The ids of inactive users who are not in `readInactiveNamesJson`: a JSON list, made by the database. */
export function readInactiveUsersJson(sql: SqlStorage): string {
  return sql
    .exec<{ ids: string }>(
      'SELECT json_group_array(user_id) AS ids FROM users WHERE active = 0 AND by_name = 0',
    )
    .one().ids;
}

/** Keys of the names that `isNameInactive` is true of: a JSON list, made by the database. */
export function readInactiveNamesJson(sql: SqlStorage): string {
  return sql
    .exec<{ names: string }>(
      `SELECT json_group_array(name_key) AS names FROM users
       WHERE active = 0 AND by_name = 1`,
    )
    .one().names;
}

/** In how many shards a certificate may have been bound to this user. */
export function countReservedShards(sql: SqlStorage, userId: string): number {
  return sql
    .exec<{ count: number }>(
      'SELECT COUNT(*) AS count FROM binding_reservations WHERE user_id = ?',
      userId,
    )
    .one().count;
}
