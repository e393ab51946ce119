import { nameKey } from '@countersign/protocol/name-key';
import * as z from 'zod/mini';
import { type UserProfile, userProfile } from '../scim/user-profile.ts';

/** People as the directory has them: what SCIM shows, beside what the organization knows of the user of that id. */

const zeroOrOne = z.union([z.literal(0), z.literal(1)]);

const directoryUserRow = z.object({
  scim_id: z.string(),
  /** What sign-in servers send as `subject.id`. */
  user_id: z.string(),
  user_name: z.string(),
  external_id: z.nullable(z.string()),
  /** What the directory says; whether the user may sign in is in `users`. */
  active: zeroOrOne,
  profile: z.string(),
  /** JSON: ids that the person had before, whose bindings were still being ended at the last change. */
  former_user_ids: z.string(),
  /** Of the resource: its ETag. */
  version: z.int(),
  created_at_ms: z.int(),
  changed_at_ms: z.int(),
  /** Of `users`. */
  standing: zeroOrOne,
});

export type DirectoryUser = Omit<
  z.infer<typeof directoryUserRow>,
  'profile' | 'former_user_ids'
> & {
  readonly profile: UserProfile;
  readonly former_user_ids: readonly string[];
};

const formerUserIds = z.array(z.string());

/** Columns of a query that has the directory's people as `d` and the organization's users as `u`. */
export const directoryUserSql = `d.scim_id, d.user_id, d.user_name, d.external_id, d.active,
  d.profile, d.former_user_ids, d.version, d.created_at_ms, d.changed_at_ms, u.active AS standing
  FROM directory_users d JOIN users u ON u.user_id = d.user_id`;

export function readDirectoryUser(row: unknown): DirectoryUser {
  const parsed = directoryUserRow.parse(row);
  return {
    ...parsed,
    profile: userProfile.parse(JSON.parse(parsed.profile)),
    former_user_ids: formerUserIds.parse(JSON.parse(parsed.former_user_ids)),
  };
}

function findBy(sql: SqlStorage, condition: string, value: string): DirectoryUser | undefined {
  const [row] = sql.exec(`SELECT ${directoryUserSql} WHERE ${condition}`, value).toArray();
  return row === undefined ? undefined : readDirectoryUser(row);
}

export const findDirectoryUser = (sql: SqlStorage, scimId: string) =>
  findBy(sql, 'd.scim_id = ?', scimId);
export const findDirectoryUserOf = (sql: SqlStorage, userId: string) =>
  findBy(sql, 'd.user_id = ?', userId);
const findDirectoryUserNamed = (sql: SqlStorage, key: string) =>
  findBy(sql, 'd.user_name_key = ?', key);
const findDirectoryUserByExternalId = (sql: SqlStorage, externalId: string) =>
  findBy(sql, 'd.external_id = ?', externalId);

/** Who there is, asked one by one or known all at once. */
export type KnownPeople = {
  readonly named: (nameKey: string) => DirectoryUser | undefined;
  readonly withExternalId: (externalId: string) => DirectoryUser | undefined;
  readonly ofUser: (userId: string) => DirectoryUser | undefined;
};

export const peopleIn = (sql: SqlStorage): KnownPeople => ({
  named: (key) => findDirectoryUserNamed(sql, key),
  withExternalId: (externalId) => findDirectoryUserByExternalId(sql, externalId),
  ofUser: (userId) => findDirectoryUserOf(sql, userId),
});

/** Everybody, for those who are about to ask after everybody: a tenth of the time that as many questions take. */
export function readAllPeople(
  sql: SqlStorage,
): KnownPeople & { readonly all: readonly DirectoryUser[] } {
  const all = sql.exec(`SELECT ${directoryUserSql}`).toArray().map(readDirectoryUser);
  const named = new Map(all.map((user) => [nameKey(user.user_name), user]));
  const external = new Map(all.map((user) => [user.external_id, user]));
  const ofUser = new Map(all.map((user) => [user.user_id, user]));
  return {
    all,
    named: (key) => named.get(key),
    withExternalId: (externalId) => external.get(externalId),
    ofUser: (userId) => ofUser.get(userId),
  };
}

export type DirectoryUserFields = Omit<DirectoryUser, 'standing'> & {
  readonly user_name_key: string;
};

export function storeDirectoryUser(sql: SqlStorage, user: DirectoryUserFields): void {
  sql.exec(
    `INSERT INTO directory_users (scim_id, user_id, user_name, user_name_key, external_id, active,
       profile, former_user_ids, version, created_at_ms, changed_at_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (scim_id) DO UPDATE SET user_id = excluded.user_id,
       user_name = excluded.user_name, user_name_key = excluded.user_name_key,
       external_id = excluded.external_id, active = excluded.active, profile = excluded.profile,
       former_user_ids = excluded.former_user_ids, version = excluded.version, changed_at_ms = excluded.changed_at_ms`,
    user.scim_id,
    user.user_id,
    user.user_name,
    user.user_name_key,
    user.external_id,
    user.active,
    JSON.stringify(user.profile),
    JSON.stringify(user.former_user_ids),
    user.version,
    user.created_at_ms,
    user.changed_at_ms,
  );
}

/** Something else than the directory has changed what the resource shows: its version is another one. */
export function raiseUserVersion(sql: SqlStorage, userId: string): void {
  sql.exec('UPDATE directory_users SET version = version + 1 WHERE user_id = ?', userId);
}

export function countDirectoryUsers(sql: SqlStorage): { total: number; active: number } {
  return sql
    .exec<{ total: number; active: number }>(
      `SELECT COUNT(*) AS total, COALESCE(SUM(u.active), 0) AS active
       FROM directory_users d JOIN users u ON u.user_id = d.user_id`,
    )
    .one();
}
