import type { Migration } from '../storage/migrations.ts';

/** Schema of the `OrganizationObject`; `worker/docs/storage-schema.md` explains each table. Append only. */
export const organizationMigrations: readonly Migration[] = [
  {
    id: '001_organization',
    sql: `
      CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
      INSERT INTO settings (name, value) VALUES ('version', '1');

      CREATE TABLE applications (
        application_id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        policy TEXT NOT NULL
      ) WITHOUT ROWID;

      CREATE TABLE clients (
        client_id TEXT PRIMARY KEY,
        document TEXT NOT NULL
      ) WITHOUT ROWID;

      CREATE TABLE users (
        user_id TEXT PRIMARY KEY,
        active INTEGER NOT NULL,
        epoch INTEGER NOT NULL
      ) WITHOUT ROWID;

      CREATE TABLE binding_reservations (
        user_id TEXT NOT NULL,
        shard INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        PRIMARY KEY (user_id, shard)
      ) WITHOUT ROWID;
    `,
  },
];
