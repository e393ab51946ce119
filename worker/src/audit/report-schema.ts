import type { Migration } from '../storage/migrations.ts';

/** Schema of the `ReportObject`; `worker/docs/storage-schema.md` explains each table. Append only. */
export const reportMigrations: readonly Migration[] = [
  {
    id: '001_system_log',
    sql: `
      CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
      INSERT INTO settings (name, value) VALUES ('generation', lower(hex(randomblob(8))));

      CREATE TABLE chains (
        chain TEXT PRIMARY KEY,
        start TEXT,
        sequence INTEGER NOT NULL,
        hash BLOB NOT NULL,
        broken_at INTEGER
      ) WITHOUT ROWID;

      CREATE TABLE events (
        event_number INTEGER PRIMARY KEY,
        chain TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        published_at_ms INTEGER NOT NULL,
        event_type TEXT NOT NULL,
        outcome TEXT NOT NULL,
        reason TEXT NOT NULL,
        user_id TEXT NOT NULL,
        device_id TEXT NOT NULL,
        integration_id TEXT NOT NULL,
        application TEXT NOT NULL,
        serial_number TEXT NOT NULL,
        event TEXT NOT NULL
      );
      CREATE UNIQUE INDEX events_by_row ON events (chain, sequence);
      CREATE INDEX events_by_time ON events (published_at_ms);
      CREATE INDEX events_by_user ON events (user_id, published_at_ms) WHERE user_id <> '';
      CREATE INDEX events_by_device ON events (device_id, published_at_ms) WHERE device_id <> '';
      CREATE INDEX events_beside_decisions ON events (event_type, published_at_ms)
        WHERE event_type <> 'user.authentication.authenticate';

      CREATE TABLE certificate_serials (
        fingerprint_sha256 TEXT PRIMARY KEY,
        serial_number TEXT NOT NULL,
        device_id TEXT NOT NULL
      ) WITHOUT ROWID;
      CREATE INDEX certificate_serials_by_number ON certificate_serials (serial_number);

      CREATE TABLE log_streams (
        stream_id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        url TEXT NOT NULL,
        sealed_secret TEXT NOT NULL,
        status TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL,
        delivered_through INTEGER NOT NULL,
        delivered_at_ms INTEGER,
        checkpoint_through INTEGER NOT NULL,
        checkpoint_at_ms INTEGER NOT NULL,
        failing_since_ms INTEGER,
        attempts INTEGER NOT NULL,
        due_at_ms INTEGER NOT NULL,
        failure TEXT
      ) WITHOUT ROWID;
    `,
  },
];
