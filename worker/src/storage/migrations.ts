/**
 * Schema versioning for SQLite-backed Durable Objects: an append-only list of named steps. Each object records which
 * steps it has applied, in order. A database that is newer than the code, or whose history differs, is not touched:
 * the object answers `storage_unavailable` until the right version runs. So it does when a step fails: then none of the
 * pending ones has run.
 */
export type Migration = {
  /** Unique and permanent, for example `001_devices`. Order in the list is the order of application. */
  readonly id: string;
  readonly sql: string;
  /** After `sql`: what it cannot compute of the rows that are there. */
  readonly fill?: (sql: SqlStorage) => void;
};

export type MigrationResult =
  | { readonly ok: true; readonly applied: readonly string[] }
  /** `otherVersion`: the database is as it should be, for another version of the code. */
  | { readonly ok: false; readonly otherVersion: boolean; readonly detail: string };

/**
 * Brings `storage` to the newest schema, in one transaction. Idempotent. Every statement runs or none. Never throws,
 * because a constructor that throws gives its callers no code.
 *
 * @param storage the object's own storage
 * @param migrations all migrations there have ever been for this class, oldest first
 */
export function migrate(
  storage: DurableObjectStorage,
  migrations: readonly Migration[],
): MigrationResult {
  try {
    return applyPending(storage, migrations);
  } catch (error) {
    return { ok: false, otherVersion: false, detail: String(error) };
  }
}

function applyPending(
  storage: DurableObjectStorage,
  migrations: readonly Migration[],
): MigrationResult {
  const sql = storage.sql;
  const known = sql
    .exec<{ name: string }>(
      `SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'schema_migrations'`,
    )
    .toArray();
  const applied =
    known.length === 0
      ? []
      : sql
          .exec<{ id: string }>('SELECT id FROM schema_migrations ORDER BY position')
          .toArray()
          .map((row) => row.id);

  const expected = migrations.map((migration) => migration.id);
  for (const [position, id] of applied.entries()) {
    const wanted = expected[position];
    if (wanted === undefined) {
      const detail = `the database is newer than this version: it has ${id}`;
      return { ok: false, otherVersion: true, detail };
    }
    if (wanted !== id) {
      const detail = `migration ${position + 1} is ${id}, expected ${wanted}`;
      return { ok: false, otherVersion: true, detail };
    }
  }

  const pending = migrations.slice(applied.length);
  if (pending.length === 0) return { ok: true, applied: [] };
  storage.transactionSync(() => {
    if (known.length === 0) {
      sql.exec(
        'CREATE TABLE schema_migrations (position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE)',
      );
    }
    for (const [offset, migration] of pending.entries()) {
      sql.exec(migration.sql);
      migration.fill?.(sql);
      sql.exec(
        'INSERT INTO schema_migrations (position, id) VALUES (?, ?)',
        applied.length + offset,
        migration.id,
      );
    }
  });
  return { ok: true, applied: pending.map((migration) => migration.id) };
}
