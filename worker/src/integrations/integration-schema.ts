import type { Migration } from '../storage/migrations.ts';

/** Schema of an `IntegrationObject`; `worker/docs/storage-schema.md` explains the tables. Append only. */
export const integrationMigrations: readonly Migration[] = [
  {
    id: '001_integration',
    sql: `
      CREATE TABLE watched_devices (
        device_id TEXT PRIMARY KEY,
        serial_number TEXT NOT NULL DEFAULT '',
        hardware_uuid TEXT NOT NULL DEFAULT '',
        asked_serial_number TEXT NOT NULL DEFAULT '',
        asked_hardware_uuid TEXT NOT NULL DEFAULT '',
        round INTEGER NOT NULL DEFAULT 0,
        missed INTEGER NOT NULL DEFAULT 0,
        missed_at_ms INTEGER NOT NULL DEFAULT 0,
        look_up_at_ms INTEGER
      ) WITHOUT ROWID;
      CREATE INDEX watched_devices_serial_number ON watched_devices (serial_number);
      CREATE INDEX watched_devices_hardware_uuid ON watched_devices (hardware_uuid);
      CREATE INDEX watched_devices_look_up ON watched_devices (look_up_at_ms)
        WHERE look_up_at_ms IS NOT NULL;
      CREATE TABLE polling (
        id INTEGER PRIMARY KEY,
        integration_id TEXT NOT NULL,
        round INTEGER NOT NULL,
        page TEXT,
        next_page_at_ms INTEGER NOT NULL
      );
      CREATE TABLE inventory (
        serial_number TEXT NOT NULL,
        hardware_uuid TEXT NOT NULL,
        PRIMARY KEY (serial_number, hardware_uuid)
      ) WITHOUT ROWID;
      CREATE INDEX inventory_hardware_uuid ON inventory (hardware_uuid) WHERE hardware_uuid <> '';
      CREATE TABLE scep_challenges (
        challenge_sha256 BLOB PRIMARY KEY,
        expires_at_ms INTEGER NOT NULL,
        serial_number TEXT NOT NULL,
        hardware_uuid TEXT NOT NULL,
        spent_by_spki_sha256 BLOB
      ) WITHOUT ROWID;
      CREATE INDEX scep_challenges_expiry ON scep_challenges (expires_at_ms);
    `,
  },
  {
    id: '002_scep_transactions',
    sql: `
      CREATE TABLE scep_transactions (
        transaction_sha256 BLOB PRIMARY KEY,
        spki_sha256 BLOB NOT NULL,
        challenge_sha256 BLOB,
        certificate BLOB NOT NULL,
        kept_at_ms INTEGER NOT NULL
      ) WITHOUT ROWID;
      CREATE INDEX scep_transactions_age ON scep_transactions (kept_at_ms);
    `,
  },
  {
    id: '003_resumption',
    sql: `
      CREATE TABLE resumption (
        id INTEGER PRIMARY KEY,
        shard INTEGER NOT NULL,
        after TEXT NOT NULL
      );
    `,
  },
  {
    id: '004_scep_challenges_of_others',
    sql: `
      CREATE INDEX scep_transactions_challenge ON scep_transactions (challenge_sha256)
        WHERE challenge_sha256 IS NOT NULL;
    `,
  },
  {
    id: '008_posture',
    sql: `
      ALTER TABLE watched_devices ADD COLUMN told_posture TEXT NOT NULL DEFAULT '';
      ALTER TABLE watched_devices ADD COLUMN told_reported_at_ms INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE inventory ADD COLUMN posture TEXT;
      ALTER TABLE inventory ADD COLUMN put_at_ms INTEGER NOT NULL DEFAULT 0;
    `,
  },
];
