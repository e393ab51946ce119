import { describe, expect, it } from 'vitest';
import { organizationMigrations } from '../../worker/src/directory/organization-schema.ts';
import { migrate } from '../../worker/src/storage/migrations.ts';
import { inEmptyObject } from './test-objects.ts';

// Names as they are compared, of those who were there before names were compared so.

describe('the organization', () => {
  it('names whoever was there before there were names', async () => {
    await inEmptyObject((storage) => {
      migrate(storage, organizationMigrations.slice(0, 5));
      for (const name of ['Ada@Example.com', 'E\u0301va'])
        storage.sql.exec('INSERT INTO users (user_id, active, epoch) VALUES (?, 0, 1)', name);
      expect(migrate(storage, organizationMigrations)).toMatchObject({ ok: true });
      const named = storage.sql.exec('SELECT name_key, by_name, held FROM users').toArray();
      expect(named).toEqual([
        { name_key: 'ada@example.com', by_name: 0, held: 1 },
        { name_key: '\u00e9va', by_name: 0, held: 1 },
      ]);
    });
  });

  it('names anew whom an older version had named by small letters alone', async () => {
    await inEmptyObject((storage) => {
      const { sql } = storage;
      const before = organizationMigrations.findIndex(({ id }) => id === '010_user_names');
      migrate(storage, organizationMigrations.slice(0, before));
      const [composed, apart] = ['\u00e9va', 'e\u0301va'];
      const add = (name: string, key: string | null) =>
        sql.exec(
          'INSERT INTO users (user_id, active, epoch, name_key) VALUES (?, 0, 2, ?)',
          name,
          key,
        );
      add(composed, composed);
      add('Stranger', null);
      for (const [scimId, name] of [
        ['one', composed],
        ['two', apart],
        ['three', 'Full\uff37idth'],
      ] as const) {
        sql.exec(
          `INSERT INTO directory_users (scim_id, user_id, user_name, user_name_key, active, profile,
             version, created_at_ms, changed_at_ms) VALUES (?, ?, ?, ?, 1, '{}', 1, 0, 0)`,
          scimId,
          name,
          name,
          name.toLowerCase(),
        );
      }
      expect(migrate(storage, organizationMigrations)).toMatchObject({ ok: true });
      const users = sql.exec('SELECT user_id, name_key, by_name FROM users ORDER BY user_id');
      expect(users.toArray()).toEqual([
        { user_id: 'Stranger', name_key: 'stranger', by_name: 0 },
        { user_id: composed, name_key: composed, by_name: 1 },
      ]);
      const people = sql.exec('SELECT scim_id, user_name_key AS key FROM directory_users');
      expect(
        people.toArray().toSorted((a, b) => String(a.scim_id).localeCompare(String(b.scim_id))),
      ).toEqual([
        { scim_id: 'one', key: composed },
        { scim_id: 'three', key: 'fullwidth' },
        { scim_id: 'two', key: apart },
      ]);
    });
  });
});
