import { env, evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { applicationInput } from '@countersign/protocol/admin';
import { describe, expect, it } from 'vitest';
import { type Migration, migrate } from '../../worker/src/storage/migrations.ts';
import { plainIssuance } from './test-issuance.ts';
import { inEmptyObject, organizationObject, shardObject } from './test-objects.ts';

// Schema versions, on the SQLite that Durable Objects have.

const one: Migration = {
  id: '001_things',
  sql: 'CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT NOT NULL);',
};
const two: Migration = {
  id: '002_colours',
  sql: `ALTER TABLE things ADD COLUMN colour TEXT;
        CREATE TABLE colours (name TEXT PRIMARY KEY);
        INSERT INTO colours (name) VALUES ('red'), ('green');`,
};

const tablesOf = ({ sql }: DurableObjectStorage) =>
  sql
    .exec<{ name: string }>(
      "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\' ORDER BY name",
    )
    .toArray()
    .map((row) => row.name);
const appliedIn = ({ sql }: DurableObjectStorage) =>
  sql.exec('SELECT position, id FROM schema_migrations ORDER BY position').toArray();

describe('migrate', () => {
  it('brings an empty database to the newest schema, once', async () => {
    await inEmptyObject((storage) => {
      expect(migrate(storage, [one, two])).toEqual({ ok: true, applied: [one.id, two.id] });
      expect(tablesOf(storage)).toEqual(['colours', 'schema_migrations', 'things']);
      expect(appliedIn(storage)).toEqual([
        { position: 0, id: one.id },
        { position: 1, id: two.id },
      ]);
      expect(migrate(storage, [one, two])).toEqual({ ok: true, applied: [] });
      expect(storage.sql.exec('SELECT name FROM colours').toArray()).toHaveLength(2);
    });
  });

  it('keeps the rows of an older version', async () => {
    await inEmptyObject((storage) => {
      migrate(storage, [one]);
      storage.sql.exec("INSERT INTO things (id, name) VALUES (7, 'seven')");
      expect(migrate(storage, [one, two])).toEqual({ ok: true, applied: [two.id] });
      expect(storage.sql.exec('SELECT * FROM things').toArray()).toEqual([
        { id: 7, name: 'seven', colour: null },
      ]);
    });
  });

  it('does not touch a database that is newer', async () => {
    await inEmptyObject((storage) => {
      migrate(storage, [one, two]);
      const before = [tablesOf(storage), appliedIn(storage)];
      expect(migrate(storage, [one])).toEqual({
        ok: false,
        otherVersion: true,
        detail: 'the database is newer than this version: it has 002_colours',
      });
      expect([tablesOf(storage), appliedIn(storage)]).toEqual(before);
    });
  });

  it('does not touch a database with another history', async () => {
    await inEmptyObject((storage) => {
      migrate(storage, [one]);
      const other: Migration = { id: '001_other', sql: 'CREATE TABLE other (id INTEGER);' };
      expect(migrate(storage, [other, two])).toEqual({
        ok: false,
        otherVersion: true,
        detail: 'migration 1 is 001_things, expected 001_other',
      });
      expect(tablesOf(storage)).toEqual(['schema_migrations', 'things']);
    });
  });

  it.each<[what: string, sql: string]>([
    ['an unknown table', "INSERT INTO nothing VALUES ('x')"],
    ['a syntax error', 'CREATE TABEL x (id INTEGER)'],
    ['a broken rule', "INSERT INTO colours (name) VALUES ('red')"],
  ])('rolls everything back when a step fails for %s', async (_what, sql) => {
    await inEmptyObject((storage) => {
      migrate(storage, [one]);
      storage.sql.exec("INSERT INTO things (id, name) VALUES (7, 'seven')");
      const failing: Migration = { id: '003_failing', sql: `DELETE FROM things; ${sql};` };
      const result = migrate(storage, [one, two, failing]);
      expect(result).toMatchObject({ ok: false, detail: expect.stringContaining('SQLITE_') });
      expect(appliedIn(storage)).toEqual([{ position: 0, id: one.id }]);
      expect(tablesOf(storage)).toEqual(['schema_migrations', 'things']);
      expect(storage.sql.exec('SELECT * FROM things').toArray()).toEqual([
        { id: 7, name: 'seven' },
      ]);
      // The repaired version goes on from there.
      expect(migrate(storage, [one, two])).toEqual({ ok: true, applied: [two.id] });
    });
  });

  it('leaves nothing behind when the very first step fails', async () => {
    await inEmptyObject((storage) => {
      expect(migrate(storage, [{ id: '001_bad', sql: 'CREATE' }])).toMatchObject({ ok: false });
      expect(tablesOf(storage)).toEqual([]);
    });
  });
});

describe('an object whose database is of a newer version', () => {
  it('answers nothing but storage_unavailable, and is not changed', async () => {
    const shard = env.DEVICE.get(env.DEVICE.newUniqueId());
    await runInDurableObject(shard, (_, { storage }) => {
      storage.sql.exec("INSERT INTO schema_migrations (position, id) VALUES (99, '099_later')");
    });
    await evictDurableObject(shard);
    const unavailable = { ok: false, code: 'storage_unavailable' };
    const bytes = new Uint8Array(32);
    expect(await shard.addEnrollmentToken('device', bytes, Date.now())).toEqual(unavailable);
    expect(await shard.describeDevice('device')).toEqual(unavailable);
    expect(await shard.decisions(0, 10)).toEqual(unavailable);
    const order = { reason: 'unspecified', actor: { type: 'admin' } } as const;
    expect(await shard.revokeCertificate('device', bytes, order)).toEqual(unavailable);
    expect(
      await shard.examineIssuance({
        deviceId: 'd',
        serialNumber: undefined,
        hardwareUuid: undefined,
        authority: { type: 'one_time_token', tokenSha256: bytes },
        subjectPublicKeyInfo: bytes,
        spkiSha256: bytes,
        ...plainIssuance,
      }),
    ).toEqual(unavailable);

    const keys = env.KEY.get(env.KEY.newUniqueId());
    await runInDurableObject(keys, (_, { storage }) => {
      storage.sql.exec("UPDATE schema_migrations SET id = 'other' WHERE position = 0");
    });
    await evictDurableObject(keys);
    expect(await keys.claim(bytes, 'device')).toEqual(unavailable);
    expect(await keys.block(bytes)).toEqual(unavailable);

    const organization = env.ORGANIZATION.get(env.ORGANIZATION.newUniqueId());
    await runInDurableObject(organization, (_, { storage }) => {
      storage.sql.exec("INSERT INTO schema_migrations (position, id) VALUES (99, '099_later')");
    });
    await evictDurableObject(organization);
    const deployment = { shardCount: 8, deviceIdKeyFingerprint: 'x' };
    expect(await organization.snapshot(deployment, 0)).toEqual({
      ok: false,
      code: 'deployment_mismatch',
      detail: expect.stringMatching(/newer than this version: it has 099_later/),
    });
    for (const object of [shard, keys, organization]) {
      expect(await object.stateMark()).toMatchObject({
        ok: false,
        otherVersion: expect.stringMatching(/099_later|expected/),
      });
    }
    expect(await organization.reserveBinding('ada', 0)).toEqual(unavailable);
    const input = applicationInput.parse({ name: 'x', enforcement: 'enforce' });
    expect(await organization.putApplication('owner', 'x', input)).toEqual(unavailable);
  });
});

describe('the schema on disk', () => {
  const oneLine = (statement: string) => statement.replace(/\s+/g, ' ').trim();
  const schemaOf = (stub: DurableObjectStub) =>
    runInDurableObject(stub, (_, { storage }) =>
      storage.sql
        .exec<{ sql: string }>(
          `SELECT sql FROM sqlite_master WHERE type <> 'trigger' AND sql IS NOT NULL
             AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\' ORDER BY name`,
        )
        .toArray()
        .map((row) => oneLine(row.sql)),
    );
  /** Each counts one change. */
  const triggersOf = (stub: DurableObjectStub) =>
    runInDurableObject(stub, (_, { storage }) =>
      storage.sql
        .exec<{ sql: string }>(`SELECT sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name`)
        .toArray()
        .map((row) => oneLine(row.sql)),
    );
  const counting = (...when: string[]) =>
    when.map((event) => `CREATE TRIGGER ${event} BEGIN UPDATE changes SET count = count + 1; END`);
  const statements = (text: string) => text.split(';').map(oneLine).filter(Boolean);

  // Migrations that are published are frozen: whoever changes one changes other people's databases. Append a new one.
  it('of a shard of devices is frozen', async () => {
    expect(await schemaOf(shardObject(0))).toEqual(
      statements(`
        CREATE TABLE archived_chains ( chain_id TEXT PRIMARY KEY, count INTEGER NOT NULL,
          hash BLOB NOT NULL, start TEXT ) WITHOUT ROWID;
        CREATE TABLE archived_decisions ( chain_id TEXT NOT NULL, sequence INTEGER NOT NULL,
          record TEXT NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (chain_id, sequence) ) WITHOUT ROWID;
        CREATE TABLE certificates ( certificate_number INTEGER PRIMARY KEY, device_id TEXT NOT NULL,
          status TEXT NOT NULL, spki_sha256 BLOB NOT NULL, serial_number BLOB NOT NULL,
          issuer_id TEXT NOT NULL, not_before_ms INTEGER NOT NULL, not_after_ms INTEGER NOT NULL,
          lineage INTEGER NOT NULL, enrollment_strength TEXT NOT NULL, created_at_ms INTEGER NOT NULL,
          to_be_signed BLOB, certificate BLOB, certificate_sha256 BLOB, bound_user TEXT,
          bound_epoch INTEGER, revoked_at_ms INTEGER, revocation_reason TEXT ,
          profile TEXT NOT NULL DEFAULT '1y', integration_id TEXT NOT NULL DEFAULT '',
          issued_via TEXT NOT NULL DEFAULT 'host', crl_shard INTEGER, supersedes INTEGER,
          usable_until_ms INTEGER, status_version INTEGER NOT NULL DEFAULT 1,
          standing_changed_at_ms INTEGER, requested_user TEXT, requested_epoch INTEGER);
        CREATE INDEX certificates_by_device ON certificates (device_id);
        CREATE UNIQUE INDEX certificates_by_sha256 ON certificates (certificate_sha256)
          WHERE certificate_sha256 IS NOT NULL;
        CREATE TABLE chain_start ( id INTEGER PRIMARY KEY, record TEXT NOT NULL, hash BLOB NOT NULL );
        CREATE TABLE changes (id INTEGER PRIMARY KEY, count INTEGER NOT NULL);
        CREATE TABLE decisions ( sequence INTEGER PRIMARY KEY, challenge_id TEXT NOT NULL,
          device_id TEXT NOT NULL, stage INTEGER NOT NULL, record TEXT NOT NULL, hash BLOB NOT NULL );
        CREATE UNIQUE INDEX decisions_by_challenge ON decisions (challenge_id, device_id, stage);
        CREATE TABLE devices ( device_id TEXT PRIMARY KEY, serial_number TEXT, hardware_uuid TEXT,
          created_at_ms INTEGER NOT NULL , status TEXT NOT NULL DEFAULT 'active',
          blocked_reason TEXT, endorsement_key_sha256 BLOB, management TEXT) WITHOUT ROWID;
        CREATE TABLE enrollment_approvals ( device_id TEXT NOT NULL, spki_sha256 BLOB NOT NULL,
          requested_at_ms INTEGER NOT NULL, approved_at_ms INTEGER,
          PRIMARY KEY (device_id, spki_sha256) ) WITHOUT ROWID;
        CREATE TABLE enrollment_tokens ( token_sha256 BLOB PRIMARY KEY, device_id TEXT NOT NULL,
          expires_at_ms INTEGER NOT NULL, spent_by_spki_sha256 BLOB ,
          integration_id TEXT NOT NULL DEFAULT '', user_id TEXT) WITHOUT ROWID;
        CREATE TABLE integration_tombstones (integration_id TEXT PRIMARY KEY) WITHOUT ROWID;
        CREATE TABLE outbox_cursors ( name TEXT PRIMARY KEY, sequence INTEGER NOT NULL ) WITHOUT ROWID;
        CREATE TABLE pki_outbox (certificate_number INTEGER PRIMARY KEY);
        CREATE TABLE schema_migrations (position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
        CREATE TABLE user_tombstones ( user_id TEXT PRIMARY KEY,
          epoch INTEGER NOT NULL ) WITHOUT ROWID`),
    );
    expect(await triggersOf(shardObject(0))).toEqual(
      counting(
        "certificates_changed AFTER UPDATE OF status ON certificates WHEN NEW.status <> 'bound'",
        'devices_updated AFTER UPDATE ON devices',
        'enrollment_approvals_inserted AFTER INSERT ON enrollment_approvals',
        'enrollment_approvals_updated AFTER UPDATE ON enrollment_approvals',
        'enrollment_tokens_inserted AFTER INSERT ON enrollment_tokens',
        'enrollment_tokens_updated AFTER UPDATE ON enrollment_tokens',
        'integration_tombstones_inserted AFTER INSERT ON integration_tombstones',
        'user_tombstones_inserted AFTER INSERT ON user_tombstones',
        'user_tombstones_updated AFTER UPDATE ON user_tombstones',
      ),
    );
  });

  it('of the organization is frozen', async () => {
    expect(await schemaOf(organizationObject())).toEqual(
      statements(`
        CREATE TABLE access_versions ( application_id TEXT NOT NULL, version INTEGER NOT NULL,
          document TEXT NOT NULL, author TEXT NOT NULL, comment TEXT NOT NULL,
          created_at_ms INTEGER NOT NULL, PRIMARY KEY (application_id, version) ) WITHOUT ROWID;
        CREATE TABLE admins ( admin_id TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL,
          token_sha256 BLOB NOT NULL, created_at_ms INTEGER NOT NULL,
          expires_at_ms INTEGER NOT NULL, revoked_at_ms INTEGER ) WITHOUT ROWID;
        CREATE UNIQUE INDEX admins_by_token ON admins (token_sha256);
        CREATE TABLE applications ( application_id TEXT PRIMARY KEY, name TEXT NOT NULL,
          policy TEXT NOT NULL , fail_open TEXT) WITHOUT ROWID;
        CREATE TABLE binding_reservations ( user_id TEXT NOT NULL, shard INTEGER NOT NULL,
          epoch INTEGER NOT NULL, PRIMARY KEY (user_id, shard) ) WITHOUT ROWID;
        CREATE TABLE changes (id INTEGER PRIMARY KEY, count INTEGER NOT NULL);
        CREATE TABLE clients ( client_id TEXT PRIMARY KEY, document TEXT NOT NULL ) WITHOUT ROWID;
        CREATE TABLE decisions ( sequence INTEGER PRIMARY KEY, challenge_id TEXT NOT NULL,
          device_id TEXT NOT NULL, stage INTEGER NOT NULL, record TEXT NOT NULL, hash BLOB NOT NULL );
        CREATE TABLE directory_removals ( removal_id INTEGER PRIMARY KEY, scope TEXT NOT NULL,
          removed_at_ms INTEGER NOT NULL, count INTEGER NOT NULL );
        CREATE INDEX directory_removals_by_scope ON directory_removals (scope, removed_at_ms);
        CREATE TABLE directory_users ( scim_id TEXT PRIMARY KEY, user_id TEXT NOT NULL,
          user_name TEXT NOT NULL, user_name_key TEXT NOT NULL, external_id TEXT,
          active INTEGER NOT NULL, profile TEXT NOT NULL, version INTEGER NOT NULL,
          created_at_ms INTEGER NOT NULL, changed_at_ms INTEGER NOT NULL ,
          former_user_ids TEXT NOT NULL DEFAULT '[]') WITHOUT ROWID;
        CREATE UNIQUE INDEX directory_users_by_external_id ON directory_users (external_id)
          WHERE external_id IS NOT NULL;
        CREATE UNIQUE INDEX directory_users_by_name ON directory_users (user_name_key);
        CREATE UNIQUE INDEX directory_users_by_user ON directory_users (user_id);
        CREATE TABLE group_changes ( group_id TEXT NOT NULL, version INTEGER NOT NULL,
          user_id TEXT NOT NULL, is_member INTEGER NOT NULL,
          PRIMARY KEY (group_id, version, user_id) ) WITHOUT ROWID;
        CREATE TABLE group_members ( group_id TEXT NOT NULL, user_id TEXT NOT NULL,
          PRIMARY KEY (group_id, user_id) ) WITHOUT ROWID;
        CREATE INDEX group_members_by_user ON group_members (user_id, group_id);
        CREATE TABLE idempotency_keys ( admin_id TEXT NOT NULL, idempotency_key TEXT NOT NULL,
          request_sha256 BLOB NOT NULL, began_at_ms INTEGER NOT NULL, sealed_answer TEXT,
          PRIMARY KEY (admin_id, idempotency_key) ) WITHOUT ROWID;
        CREATE INDEX idempotency_keys_by_age ON idempotency_keys (began_at_ms);
        CREATE TABLE imports ( position INTEGER PRIMARY KEY, import_id TEXT NOT NULL UNIQUE,
          created_at TEXT NOT NULL, chains TEXT NOT NULL, began_at_ms INTEGER NOT NULL,
          finished_at_ms INTEGER );
        CREATE TABLE integrations ( integration_id TEXT PRIMARY KEY, document TEXT NOT NULL,
          sealed_credentials TEXT ) WITHOUT ROWID;
        CREATE TABLE outbox_cursors ( name TEXT PRIMARY KEY, sequence INTEGER NOT NULL ) WITHOUT ROWID;
        CREATE TABLE policy_versions ( application_id TEXT NOT NULL, version INTEGER NOT NULL,
          document TEXT NOT NULL, source TEXT NOT NULL, author TEXT NOT NULL, comment TEXT NOT NULL,
          created_at_ms INTEGER NOT NULL, PRIMARY KEY (application_id, version) ) WITHOUT ROWID;
        CREATE TABLE schema_migrations (position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
        CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE tombstone_deliveries ( job_id TEXT NOT NULL, shard INTEGER NOT NULL,
          attempts INTEGER NOT NULL, due_at_ms INTEGER NOT NULL,
          PRIMARY KEY (job_id, shard) ) WITHOUT ROWID;
        CREATE INDEX tombstone_deliveries_by_due ON tombstone_deliveries (due_at_ms);
        CREATE TABLE tombstone_jobs ( job_id TEXT PRIMARY KEY, user_id TEXT NOT NULL,
          epoch INTEGER NOT NULL, reason TEXT NOT NULL, created_at_ms INTEGER NOT NULL,
          shards INTEGER NOT NULL, completes_from_ms INTEGER NOT NULL,
          completed_at_ms INTEGER , kind TEXT NOT NULL DEFAULT 'user',
          integration_id TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
        CREATE INDEX tombstone_jobs_by_user ON tombstone_jobs (user_id, epoch);
        CREATE INDEX tombstone_jobs_running ON tombstone_jobs (completes_from_ms)
          WHERE completed_at_ms IS NULL;
        CREATE TABLE user_groups ( group_id TEXT PRIMARY KEY, name TEXT NOT NULL ,
          origin TEXT NOT NULL DEFAULT 'administrator', external_id TEXT,
          version INTEGER NOT NULL DEFAULT 1, changes_from INTEGER NOT NULL DEFAULT 1,
          created_at_ms INTEGER NOT NULL DEFAULT 0,
          changed_at_ms INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
        CREATE TABLE users ( user_id TEXT PRIMARY KEY, active INTEGER NOT NULL,
          epoch INTEGER NOT NULL , epoch_since_ms INTEGER NOT NULL DEFAULT 0,
          provisioned INTEGER NOT NULL DEFAULT 0, held INTEGER NOT NULL DEFAULT 0,
          name_key TEXT, by_name INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
        CREATE INDEX users_by_name ON users (name_key);
        CREATE INDEX users_inactive ON users (user_id) WHERE active = 0;
        CREATE TABLE zone_versions ( zone_id TEXT NOT NULL, version INTEGER NOT NULL,
          document TEXT, PRIMARY KEY (zone_id, version) ) WITHOUT ROWID;
        CREATE TABLE zones ( zone_id TEXT PRIMARY KEY, document TEXT NOT NULL ) WITHOUT ROWID`),
    );
    expect(await triggersOf(organizationObject())).toEqual(
      counting(
        'binding_reservations_inserted AFTER INSERT ON binding_reservations',
        'binding_reservations_updated AFTER UPDATE ON binding_reservations',
        'decisions_inserted AFTER INSERT ON decisions',
        'tombstone_jobs_inserted AFTER INSERT ON tombstone_jobs',
        'tombstone_jobs_updated AFTER UPDATE ON tombstone_jobs',
        'users_inserted AFTER INSERT ON users',
        'users_updated AFTER UPDATE ON users',
      ),
    );
  });

  it('of a shard of keys is frozen', async () => {
    const keys = env.KEY.get(env.KEY.newUniqueId());
    expect(await schemaOf(keys)).toEqual(
      statements(`
        CREATE TABLE changes (id INTEGER PRIMARY KEY, count INTEGER NOT NULL);
        CREATE TABLE keys ( spki_sha256 BLOB PRIMARY KEY, device_id TEXT,
          blocked INTEGER NOT NULL DEFAULT 0 ) WITHOUT ROWID;
        CREATE TABLE schema_migrations (position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE)`),
    );
    expect(await triggersOf(keys)).toEqual(
      counting('keys_inserted AFTER INSERT ON keys', 'keys_updated AFTER UPDATE ON keys'),
    );
  });
});
