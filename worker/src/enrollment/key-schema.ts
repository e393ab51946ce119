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
];
