import type { Migration } from '../storage/migrations.ts';

/** Schema of a `RevocationObject`; `worker/docs/storage-schema.md` explains the tables. Append only. */
export const revocationMigrations: readonly Migration[] = [
  {
    id: '001_revocation',
    sql: `
      CREATE TABLE certificates (
        serial_number BLOB PRIMARY KEY,
        status TEXT NOT NULL,
        reason TEXT,
        changed_at_ms INTEGER NOT NULL,
        not_after_ms INTEGER NOT NULL,
        status_version INTEGER NOT NULL
      ) WITHOUT ROWID;
      CREATE INDEX certificates_listed ON certificates (serial_number) WHERE status <> 'good';
      CREATE TABLE publication (
        id INTEGER PRIMARY KEY CHECK (id = 0),
        issuer_id TEXT NOT NULL,
        crl_shard INTEGER NOT NULL,
        changes INTEGER NOT NULL DEFAULT 0,
        last_number INTEGER NOT NULL DEFAULT 0,
        crl_number INTEGER NOT NULL DEFAULT 0,
        crl_changes INTEGER NOT NULL DEFAULT -1,
        this_update_ms INTEGER NOT NULL DEFAULT 0,
        next_update_ms INTEGER NOT NULL DEFAULT 0
      );
      CREATE TABLE crl_parts (
        part INTEGER PRIMARY KEY,
        der BLOB NOT NULL
      );
      CREATE TABLE distribution_points (
        uri TEXT PRIMARY KEY
      ) WITHOUT ROWID;
      CREATE TABLE responders (
        serial_number BLOB PRIMARY KEY,
        to_be_signed BLOB NOT NULL,
        not_after_ms INTEGER NOT NULL
      ) WITHOUT ROWID;
    `,
  },
];
