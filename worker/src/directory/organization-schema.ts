import { nameKey } from '@countersign/protocol/name-key';
import type { Migration } from '../storage/migrations.ts';

/** Names are compared by rules of Unicode, which SQLite does not have. */
function nameEverybody(sql: SqlStorage): void {
  const users = sql.exec<{ user_id: string }>('SELECT user_id FROM users').toArray();
  for (const { user_id } of users) {
    sql.exec('UPDATE users SET name_key = ? WHERE user_id = ?', nameKey(user_id), user_id);
  }
  const people = sql
    .exec<{ scim_id: string; user_name: string }>('SELECT scim_id, user_name FROM directory_users')
    .toArray();
  for (const { scim_id, user_name } of people) {
    // Two who were not one before stay two: the second keeps the key that it has.
    sql.exec(
      'UPDATE OR IGNORE directory_users SET user_name_key = ? WHERE scim_id = ?',
      nameKey(user_name),
      scim_id,
    );
  }
}

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
  {
    id: '004_administration',
    sql: `
      CREATE TABLE integrations (
        integration_id TEXT PRIMARY KEY,
        document TEXT NOT NULL,
        sealed_credentials TEXT
      ) WITHOUT ROWID;

      CREATE TABLE user_groups (
        group_id TEXT PRIMARY KEY,
        name TEXT NOT NULL
      ) WITHOUT ROWID;
      CREATE TABLE group_members (
        group_id TEXT NOT NULL,
        user_id TEXT NOT NULL,
        PRIMARY KEY (group_id, user_id)
      ) WITHOUT ROWID;

      CREATE TABLE admins (
        admin_id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        role TEXT NOT NULL,
        token_sha256 BLOB NOT NULL,
        created_at_ms INTEGER NOT NULL,
        expires_at_ms INTEGER NOT NULL,
        revoked_at_ms INTEGER
      ) WITHOUT ROWID;
      CREATE UNIQUE INDEX admins_by_token ON admins (token_sha256);

      CREATE TABLE idempotency_keys (
        admin_id TEXT NOT NULL,
        idempotency_key TEXT NOT NULL,
        request_sha256 BLOB NOT NULL,
        began_at_ms INTEGER NOT NULL,
        sealed_answer TEXT,
        PRIMARY KEY (admin_id, idempotency_key)
      ) WITHOUT ROWID;
      CREATE INDEX idempotency_keys_by_age ON idempotency_keys (began_at_ms);

      CREATE TABLE decisions (
        sequence INTEGER PRIMARY KEY,
        challenge_id TEXT NOT NULL,
        device_id TEXT NOT NULL,
        stage INTEGER NOT NULL,
        record TEXT NOT NULL,
        hash BLOB NOT NULL
      );
      CREATE TABLE outbox_cursors (
        name TEXT PRIMARY KEY,
        sequence INTEGER NOT NULL
      ) WITHOUT ROWID;

      ALTER TABLE users ADD COLUMN provisioned INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE tombstone_jobs ADD COLUMN kind TEXT NOT NULL DEFAULT 'user';
      ALTER TABLE tombstone_jobs ADD COLUMN integration_id TEXT NOT NULL DEFAULT '';

      CREATE TRIGGER decisions_inserted AFTER INSERT ON decisions
        BEGIN UPDATE changes SET count = count + 1; END;
    `,
  },
  {
    id: '005_policies_and_zones',
    sql: `
      CREATE TABLE zones (
        zone_id TEXT PRIMARY KEY,
        document TEXT NOT NULL
      ) WITHOUT ROWID;

      CREATE TABLE policy_versions (
        application_id TEXT NOT NULL,
        version INTEGER NOT NULL,
        document TEXT NOT NULL,
        source TEXT NOT NULL,
        author TEXT NOT NULL,
        comment TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL,
        PRIMARY KEY (application_id, version)
      ) WITHOUT ROWID;
      INSERT INTO policy_versions (application_id, version, document, source, author, comment, created_at_ms)
        SELECT application_id, json_extract(policy, '$.version'), policy, 'choices', '', '', 0
        FROM applications;
    `,
  },
  {
    id: '006_directory',
    sql: `
      ALTER TABLE users ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE users ADD COLUMN name_key TEXT;
      UPDATE users SET held = 1 WHERE active = 0;
      CREATE INDEX users_by_name_key ON users (name_key) WHERE name_key IS NOT NULL;
      CREATE INDEX users_by_spelling ON users (user_id COLLATE NOCASE);

      CREATE TABLE directory_users (
        scim_id TEXT PRIMARY KEY,
        user_id TEXT NOT NULL,
        user_name TEXT NOT NULL,
        user_name_key TEXT NOT NULL,
        external_id TEXT,
        active INTEGER NOT NULL,
        profile TEXT NOT NULL,
        version INTEGER NOT NULL,
        created_at_ms INTEGER NOT NULL,
        changed_at_ms INTEGER NOT NULL
      ) WITHOUT ROWID;
      CREATE UNIQUE INDEX directory_users_by_user ON directory_users (user_id);
      CREATE UNIQUE INDEX directory_users_by_name ON directory_users (user_name_key);
      CREATE UNIQUE INDEX directory_users_by_external_id ON directory_users (external_id)
        WHERE external_id IS NOT NULL;

      ALTER TABLE user_groups ADD COLUMN origin TEXT NOT NULL DEFAULT 'administrator';
      ALTER TABLE user_groups ADD COLUMN external_id TEXT;
      ALTER TABLE user_groups ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
      ALTER TABLE user_groups ADD COLUMN changes_from INTEGER NOT NULL DEFAULT 1;
      ALTER TABLE user_groups ADD COLUMN created_at_ms INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE user_groups ADD COLUMN changed_at_ms INTEGER NOT NULL DEFAULT 0;
      CREATE INDEX group_members_by_user ON group_members (user_id, group_id);

      CREATE TABLE group_changes (
        group_id TEXT NOT NULL,
        version INTEGER NOT NULL,
        user_id TEXT NOT NULL,
        is_member INTEGER NOT NULL,
        PRIMARY KEY (group_id, version, user_id)
      ) WITHOUT ROWID;

      CREATE TABLE directory_removals (
        removal_id INTEGER PRIMARY KEY,
        scope TEXT NOT NULL,
        removed_at_ms INTEGER NOT NULL,
        count INTEGER NOT NULL
      );
      CREATE INDEX directory_removals_by_scope ON directory_removals (scope, removed_at_ms);
    `,
  },
  {
    id: '007_access_versions',
    sql: `
      CREATE TABLE access_versions (
        application_id TEXT NOT NULL,
        version INTEGER NOT NULL,
        document TEXT NOT NULL,
        author TEXT NOT NULL,
        comment TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL,
        PRIMARY KEY (application_id, version)
      ) WITHOUT ROWID;
    `,
  },
  {
    id: '009_zone_versions',
    sql: `
      CREATE TABLE zone_versions (
        zone_id TEXT NOT NULL,
        version INTEGER NOT NULL,
        document TEXT,
        PRIMARY KEY (zone_id, version)
      ) WITHOUT ROWID;
    `,
  },
  {
    id: '009_fail_open',
    sql: 'ALTER TABLE applications ADD COLUMN fail_open TEXT;',
  },
  {
    id: '010_user_names',
    sql: `
      DROP INDEX users_by_name_key;
      DROP INDEX users_by_spelling;
      ALTER TABLE users ADD COLUMN by_name INTEGER NOT NULL DEFAULT 0;
      UPDATE users SET by_name = 1 WHERE name_key IS NOT NULL;
      CREATE INDEX users_by_name ON users (name_key);
      ALTER TABLE directory_users ADD COLUMN former_user_ids TEXT NOT NULL DEFAULT '[]';
    `,
    fill: nameEverybody,
  },
];
