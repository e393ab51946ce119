import { type DirectorySync, directoryInput } from '@countersign/protocol/admin-directory';
import * as z from 'zod/mini';
import { readSetting, writeSetting } from './organization-settings.ts';
import type { Outcome } from './record-change.ts';

/** How the directory is taken over: rows of `settings`. Within blocks of the organization. */

export function readDirectorySync(sql: SqlStorage): DirectorySync {
  return z.parse(directoryInput, JSON.parse(readSetting(sql, 'directory_sync') ?? '{}'));
}

const hasUsers = (sql: SqlStorage) =>
  sql.exec('SELECT 1 FROM directory_users LIMIT 1').toArray().length > 0;

/** Which attribute names people to sign-in servers can be chosen before there are any: all that is bound is by it. */
export function setDirectorySync(
  sql: SqlStorage,
  input: DirectorySync,
): Outcome<undefined> | { readonly ok: false; readonly code: 'directory_subject_fixed' } {
  const before = readDirectorySync(sql);
  if (before.subject !== input.subject && hasUsers(sql)) {
    return { ok: false, code: 'directory_subject_fixed' };
  }
  if (JSON.stringify(before) === JSON.stringify(input)) {
    return { ok: true, value: undefined, event: undefined };
  }
  writeSetting(sql, 'directory_sync', JSON.stringify(input));
  // There is nobody any more whom the directory knows by name; who comes now is known by something else.
  if (before.subject !== input.subject) sql.exec('UPDATE users SET by_name = 0 WHERE by_name = 1');
  return {
    ok: true,
    value: undefined,
    event: {
      event_type: 'admin.directory.update',
      debug_data: Object.fromEntries(
        Object.entries(input).map(([name, value]) => [name, String(value)]),
      ),
    },
  };
}
