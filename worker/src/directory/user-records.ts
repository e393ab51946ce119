import * as z from 'zod/mini';

/** Users as the organization knows them: those who have bound a certificate, or whom an administrator has changed. */

export const userRow = z.object({
  user_id: z.string(),
  active: z.union([z.literal(0), z.literal(1)]),
  epoch: z.int(),
  epoch_since_ms: z.int(),
  /** Made known by an administrator, and not only by a sign-in. */
  provisioned: z.union([z.literal(0), z.literal(1)]),
});
export type UserRow = z.infer<typeof userRow>;

/** What holds for a user of whom nothing is on record. */
export const unknownUser = (userId: string): UserRow => ({
  user_id: userId,
  active: 1,
  epoch: 1,
  epoch_since_ms: 0,
  provisioned: 0,
});

export function findUser(sql: SqlStorage, userId: string): UserRow | undefined {
  const [row] = sql
    .exec(
      'SELECT user_id, active, epoch, epoch_since_ms, provisioned FROM users WHERE user_id = ?',
      userId,
    )
    .toArray();
  return row === undefined ? undefined : userRow.parse(row);
}

export function storeUser(sql: SqlStorage, user: UserRow): void {
  sql.exec(
    `INSERT INTO users (user_id, active, epoch, epoch_since_ms, provisioned) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (user_id) DO UPDATE SET active = excluded.active, epoch = excluded.epoch,
       epoch_since_ms = excluded.epoch_since_ms, provisioned = excluded.provisioned`,
    user.user_id,
    user.active,
    user.epoch,
    user.epoch_since_ms,
    user.provisioned,
  );
}

export type UserStanding = 'active' | 'inactive' | 'unknown';

/** Whether a certificate may be asked for in this user's name: not unless an administrator has made the user known. */
export function readUserStanding(sql: SqlStorage, userId: string): UserStanding {
  const user = findUser(sql, userId);
  if (user?.active === 0) return 'inactive';
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

/** The ids of all inactive users: a JSON list, made by the database. */
export function readInactiveUsersJson(sql: SqlStorage): string {
  return sql
    .exec<{ ids: string }>('SELECT json_group_array(user_id) AS ids FROM users WHERE active = 0')
    .one().ids;
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
