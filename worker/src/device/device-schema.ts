import type { Migration } from '../storage/migrations.ts';

/** Schema of a `DeviceObject`; `worker/docs/storage-schema.md` explains each table. Append only. */
export const deviceMigrations: readonly Migration[] = [
  {
    id: '001_devices_certificates_decisions',
    sql: `
      CREATE TABLE devices (
        device_id TEXT PRIMARY KEY,
        serial_number TEXT,
        hardware_uuid TEXT,
        created_at_ms INTEGER NOT NULL
      ) WITHOUT ROWID;

      CREATE TABLE enrollment_tokens (
        token_sha256 BLOB PRIMARY KEY,
        device_id TEXT NOT NULL,
        expires_at_ms INTEGER NOT NULL,
        spent_by_spki_sha256 BLOB
      ) WITHOUT ROWID;

      CREATE TABLE certificates (
        certificate_number INTEGER PRIMARY KEY,
        device_id TEXT NOT NULL,
        status TEXT NOT NULL,
        spki_sha256 BLOB NOT NULL,
        serial_number BLOB NOT NULL,
        issuer_id TEXT NOT NULL,
        not_before_ms INTEGER NOT NULL,
        not_after_ms INTEGER NOT NULL,
        lineage INTEGER NOT NULL,
        enrollment_strength TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL,
        to_be_signed BLOB,
        certificate BLOB,
        certificate_sha256 BLOB,
        bound_user TEXT,
        bound_epoch INTEGER,
        revoked_at_ms INTEGER,
        revocation_reason TEXT
      );
      CREATE INDEX certificates_by_device ON certificates (device_id);
      CREATE UNIQUE INDEX certificates_by_sha256 ON certificates (certificate_sha256)
        WHERE certificate_sha256 IS NOT NULL;

      CREATE TABLE decisions (
        sequence INTEGER PRIMARY KEY,
        challenge_id TEXT NOT NULL,
        device_id TEXT NOT NULL,
        stage INTEGER NOT NULL,
        record TEXT NOT NULL,
        hash BLOB NOT NULL
      );
      CREATE UNIQUE INDEX decisions_by_challenge ON decisions (challenge_id, device_id, stage);
    `,
  },
  {
    id: '002_user_tombstones',
    sql: `
      CREATE TABLE user_tombstones (
        user_id TEXT PRIMARY KEY,
        epoch INTEGER NOT NULL
      ) WITHOUT ROWID;
    `,
  },
  {
    id: '003_archived_chains_and_changes',
    sql: `
      CREATE TABLE chain_start (
        id INTEGER PRIMARY KEY,
        record TEXT NOT NULL,
        hash BLOB NOT NULL
      );

      CREATE TABLE archived_chains (
        chain_id TEXT PRIMARY KEY,
        count INTEGER NOT NULL,
        hash BLOB NOT NULL,
        start TEXT
      ) WITHOUT ROWID;

      CREATE TABLE archived_decisions (
        chain_id TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        record TEXT NOT NULL,
        hash BLOB NOT NULL,
        PRIMARY KEY (chain_id, sequence)
      ) WITHOUT ROWID;

      CREATE TABLE changes (id INTEGER PRIMARY KEY, count INTEGER NOT NULL);
      INSERT INTO changes (id, count) VALUES (0, 0);
      CREATE TRIGGER certificates_changed AFTER UPDATE OF status ON certificates
        WHEN NEW.status <> 'bound'
        BEGIN UPDATE changes SET count = count + 1; END;
      CREATE TRIGGER enrollment_tokens_inserted AFTER INSERT ON enrollment_tokens
        BEGIN UPDATE changes SET count = count + 1; END;
      CREATE TRIGGER enrollment_tokens_updated AFTER UPDATE ON enrollment_tokens
        BEGIN UPDATE changes SET count = count + 1; END;
      CREATE TRIGGER user_tombstones_inserted AFTER INSERT ON user_tombstones
        BEGIN UPDATE changes SET count = count + 1; END;
      CREATE TRIGGER user_tombstones_updated AFTER UPDATE ON user_tombstones
        BEGIN UPDATE changes SET count = count + 1; END;
    `,
  },
  {
    id: '004_renewal_and_revocation',
    sql: `
      ALTER TABLE certificates ADD COLUMN profile TEXT NOT NULL DEFAULT '1y';
      ALTER TABLE certificates ADD COLUMN integration_id TEXT NOT NULL DEFAULT '';
      ALTER TABLE certificates ADD COLUMN issued_via TEXT NOT NULL DEFAULT 'host';
      ALTER TABLE certificates ADD COLUMN crl_shard INTEGER;
      ALTER TABLE certificates ADD COLUMN supersedes INTEGER;
      ALTER TABLE certificates ADD COLUMN usable_until_ms INTEGER;
      ALTER TABLE certificates ADD COLUMN status_version INTEGER NOT NULL DEFAULT 1;
      ALTER TABLE certificates ADD COLUMN standing_changed_at_ms INTEGER;

      ALTER TABLE enrollment_tokens ADD COLUMN integration_id TEXT NOT NULL DEFAULT '';
      ALTER TABLE enrollment_tokens ADD COLUMN user_id TEXT;

      ALTER TABLE devices ADD COLUMN status TEXT NOT NULL DEFAULT 'active';
      ALTER TABLE devices ADD COLUMN blocked_reason TEXT;
      ALTER TABLE devices ADD COLUMN endorsement_key_sha256 BLOB;
      ALTER TABLE devices ADD COLUMN management TEXT;

      CREATE TABLE enrollment_approvals (
        device_id TEXT NOT NULL,
        spki_sha256 BLOB NOT NULL,
        requested_at_ms INTEGER NOT NULL,
        approved_at_ms INTEGER,
        PRIMARY KEY (device_id, spki_sha256)
      ) WITHOUT ROWID;

      CREATE TABLE integration_tombstones (integration_id TEXT PRIMARY KEY) WITHOUT ROWID;

      CREATE TABLE pki_outbox (certificate_number INTEGER PRIMARY KEY);

      CREATE TABLE outbox_cursors (
        name TEXT PRIMARY KEY,
        sequence INTEGER NOT NULL
      ) WITHOUT ROWID;

      CREATE TRIGGER devices_updated AFTER UPDATE ON devices
        BEGIN UPDATE changes SET count = count + 1; END;
      CREATE TRIGGER enrollment_approvals_inserted AFTER INSERT ON enrollment_approvals
        BEGIN UPDATE changes SET count = count + 1; END;
      CREATE TRIGGER enrollment_approvals_updated AFTER UPDATE ON enrollment_approvals
        BEGIN UPDATE changes SET count = count + 1; END;
      CREATE TRIGGER integration_tombstones_inserted AFTER INSERT ON integration_tombstones
        BEGIN UPDATE changes SET count = count + 1; END;
    `,
  },
  {
    id: '005_requested_users',
    sql: `
      ALTER TABLE certificates ADD COLUMN requested_user TEXT;
      ALTER TABLE certificates ADD COLUMN requested_epoch INTEGER;
    `,
  },
];
