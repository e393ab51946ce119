import type { Migration } from '../storage/migrations.ts';

/** Schema of a `KeyObject`; `worker/docs/storage-schema.md` explains the table. Append only. */
export const keyMigrations: readonly Migration[] = [
  {
    id: '001_keys',
    sql: `
      CREATE TABLE keys (
        spki_sha256 BLOB PRIMARY KEY,
        device_id TEXT,
        blocked INTEGER NOT NULL DEFAULT 0
      ) WITHOUT ROWID;
    `,
  },
  {
    id: '002_changes',
    sql: `
      CREATE TABLE changes (id INTEGER PRIMARY KEY, count INTEGER NOT NULL);
      INSERT INTO changes (id, count) VALUES (0, 0);
      CREATE TRIGGER keys_inserted AFTER INSERT ON keys
        BEGIN UPDATE changes SET count = count + 1; END;
      CREATE TRIGGER keys_updated AFTER UPDATE ON keys
        BEGIN UPDATE changes SET count = count + 1; END;
    `,
  },
];
