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
  {
    id: '002_tombstone_jobs',
    sql: `
      ALTER TABLE users ADD COLUMN epoch_since_ms INTEGER NOT NULL DEFAULT 0;
      CREATE INDEX users_inactive ON users (user_id) WHERE active = 0;

      CREATE TABLE tombstone_jobs (
        job_id TEXT PRIMARY KEY,
        user_id TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        reason TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL,
        shards INTEGER NOT NULL,
        completes_from_ms INTEGER NOT NULL,
        completed_at_ms INTEGER
      ) WITHOUT ROWID;
      CREATE INDEX tombstone_jobs_by_user ON tombstone_jobs (user_id, epoch);
      CREATE INDEX tombstone_jobs_running ON tombstone_jobs (completes_from_ms)
        WHERE completed_at_ms IS NULL;

      CREATE TABLE tombstone_deliveries (
        job_id TEXT NOT NULL,
        shard INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        due_at_ms INTEGER NOT NULL,
        PRIMARY KEY (job_id, shard)
      ) WITHOUT ROWID;
      CREATE INDEX tombstone_deliveries_by_due ON tombstone_deliveries (due_at_ms);
    `,
  },
  {
    id: '003_imports_and_changes',
    sql: `
      CREATE TABLE imports (
        position INTEGER PRIMARY KEY,
        import_id TEXT NOT NULL UNIQUE,
        created_at TEXT NOT NULL,
        chains TEXT NOT NULL,
        began_at_ms INTEGER NOT NULL,
        finished_at_ms INTEGER
      );

      CREATE TABLE changes (id INTEGER PRIMARY KEY, count INTEGER NOT NULL);
      INSERT INTO changes (id, count) VALUES (0, 0);
      CREATE TRIGGER users_inserted AFTER INSERT ON users
        BEGIN UPDATE changes SET count = count + 1; END;
      CREATE TRIGGER users_updated AFTER UPDATE ON users
        BEGIN UPDATE changes SET count = count + 1; END;
      CREATE TRIGGER binding_reservations_inserted AFTER INSERT ON binding_reservations
        BEGIN UPDATE changes SET count = count + 1; END;
      CREATE TRIGGER binding_reservations_updated AFTER UPDATE ON binding_reservations
        BEGIN UPDATE changes SET count = count + 1; END;
      CREATE TRIGGER tombstone_jobs_inserted AFTER INSERT ON tombstone_jobs
        BEGIN UPDATE changes SET count = count + 1; END;
      CREATE TRIGGER tombstone_jobs_updated AFTER UPDATE ON tombstone_jobs
        BEGIN UPDATE changes SET count = count + 1; END;
    `,
  },
];
