import { nameKey } from '@countersign/protocol/name-key';
import {
  exportId,
  type ImportBeginning,
  type OrganizationMark,
  type StateRow,
  type StateSection,
} from '@countersign/protocol/state';
import * as z from 'zod/mini';
import { ImportError, importRows, textOf, wholeOf } from '../storage/import-rows.ts';
import { readChanges } from '../storage/state-marks.ts';
import { raiseVersion, readVersion } from './organization-settings.ts';
import { appendAdminEvent } from './record-change.ts';

/** The organization's part in an export, an import, and in noticing an older copy. All within blocks of its object. */

const importedChains = z.array(
  z.object({ chain_id: z.string(), count: z.int(), hash: z.string() }),
);

export function readOrganizationMark(sql: SqlStorage): OrganizationMark {
  const { imports } = sql
    .exec<{ imports: number }>(
      'SELECT COUNT(*) AS imports FROM imports WHERE finished_at_ms IS NOT NULL',
    )
    .one();
  const [last] = sql
    .exec<{ import_id: string }>(
      'SELECT import_id FROM imports WHERE finished_at_ms IS NOT NULL ORDER BY position DESC LIMIT 1',
    )
    .toArray();
  return {
    version: readVersion(sql),
    changes: readChanges(sql),
    imports,
    import_id: last === undefined ? null : z.parse(exportId, last.import_id),
  };
}

/** The id of an import that has begun and not ended: until then, nothing here may be served. */
export function findUnfinishedImport(sql: SqlStorage): string | undefined {
  return sql
    .exec<{ import_id: string }>('SELECT import_id FROM imports WHERE finished_at_ms IS NULL')
    .toArray()[0]?.import_id;
}

function assertRunning(sql: SqlStorage, importId: string): void {
  if (findUnfinishedImport(sql) === importId) return;
  throw new ImportError(`no import ${importId} is running`);
}

/** Heads of all chains that an import has archived, those of older imports first. */
export function readArchivedHeads(sql: SqlStorage) {
  return sql
    .exec<{ chains: string }>('SELECT chains FROM imports ORDER BY position')
    .toArray()
    .flatMap((row) => importedChains.parse(JSON.parse(row.chains)));
}

/**
 * Begins an import, where there is nothing yet. From the end of this block on, every snapshot is refused.
 *
 * @throws ImportError
 */
export function beginImport(sql: SqlStorage, beginning: ImportBeginning, nowMs: number): void {
  const taken = [
    ...['applications', 'clients', 'users', 'binding_reservations', 'imports'],
    ...[
      'integrations',
      'user_groups',
      'admins',
      'idempotency_keys',
      'decisions',
      'zones',
      'zone_versions',
      'policy_versions',
      'access_versions',
      'directory_users',
    ],
  ].find((table) => sql.exec(`SELECT 1 FROM ${table} LIMIT 1`).toArray().length > 0);
  if (taken !== undefined || readVersion(sql) !== 1) {
    throw new ImportError(
      `an import needs an organization in which nothing is stored yet (see ${taken ?? 'settings'})`,
    );
  }
  sql.exec(
    `INSERT INTO imports (position, import_id, created_at, chains, began_at_ms) VALUES (?, ?, ?, ?, ?)`,
    beginning.imports + 1,
    beginning.import_id,
    beginning.created_at,
    JSON.stringify(beginning.chains),
    nowMs,
  );
}

/**
 * Stores a page of the organization's own tables. Left out is what follows from the new shards: the deployment, the
 * reservations, and which shards a tombstone has still to reach, since an import brings every one to all of them.
 * Sealed credentials cross as they are: they open where the key for stored secrets is the same.
 *
 * @throws ImportError
 */
export function importOrganizationRows(
  sql: SqlStorage,
  importId: string,
  section: StateSection,
  rows: readonly StateRow[],
): void {
  assertRunning(sql, importId);
  if (section === 'binding_reservations' || section === 'tombstone_deliveries') return;
  if (section !== 'settings') {
    importRows(sql, section, section === 'users' ? rows.map(asOfNow) : rows);
    return;
  }
  for (const row of rows) {
    if (textOf(row, 'name') === 'deployment') continue;
    sql.exec(
      `INSERT INTO settings (name, value) VALUES (?, ?)
       ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
      textOf(row, 'name'),
      textOf(row, 'value'),
    );
  }
}

/**
 * A user of an older version. Before there were directories, whoever was inactive had been deactivated by an
 * administrator; then only those had a key whom a directory knew by name.
 */
const asOfNow = (row: StateRow): StateRow => ({
  held: 1 - wholeOf(row, 'active'),
  by_name: typeof row.name_key === 'string' ? 1 : 0,
  ...row,
  name_key: nameKey(textOf(row, 'user_id')),
});

/** Reserves a shard for everybody who has a binding there now. */
export function importReservations(
  sql: SqlStorage,
  importId: string,
  shard: number,
  bindings: ReadonlyArray<{ readonly userId: string; readonly epoch: number }>,
): void {
  assertRunning(sql, importId);
  for (const { userId, epoch } of bindings) {
    sql.exec(
      `INSERT INTO binding_reservations (user_id, shard, epoch) VALUES (?, ?, ?)
       ON CONFLICT (user_id, shard) DO UPDATE SET epoch = MAX(epoch, excluded.epoch)`,
      userId,
      shard,
      epoch,
    );
  }
}

/**
 * Ends an import whose shards have all said that they are done: from now on snapshots are given. Raises the version,
 * so that no copy of the organization from before is taken for this one.
 *
 * @throws ImportError
 */
export function finishImport(
  sql: SqlStorage,
  adminId: string,
  importId: string,
  nowMs: number,
): void {
  assertRunning(sql, importId);
  raiseVersion(sql);
  const event = { event_type: 'admin.state.import', debug_data: { import_id: importId } } as const;
  appendAdminEvent(sql, adminId, event, nowMs);
  sql.exec('UPDATE tombstone_jobs SET completed_at_ms = ? WHERE completed_at_ms IS NULL', nowMs);
  sql.exec('UPDATE imports SET finished_at_ms = ? WHERE import_id = ?', nowMs, importId);
}
