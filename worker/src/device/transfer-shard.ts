import type { StatePage, StateRow, StateSection, StateTables } from '@countersign/protocol/state';
import {
  type ArchivedHead,
  archiveDecisions,
  keepArchivedStart,
  openArchivedChain,
} from '../audit/archived-chains.ts';
import { exportTable, type PageRange } from '../storage/export-tables.ts';
import { ImportError, importRows, textOf, wholeOf } from '../storage/import-rows.ts';
import { exportDevices, type ImportedDevices, importDevices } from './transfer-devices.ts';

/** One section of a shard, page by page. Each page is one moment. */
export function exportShard(sql: SqlStorage, section: StateSection, range: PageRange): StatePage {
  if (section !== 'devices') return exportTable(sql, section, range);
  const [after] = range.after ?? [];
  if (after !== undefined && typeof after !== 'string') throw new RangeError('no device id');
  return exportDevices(sql, after);
}

/** What of an exported page belongs into one shard of an import. */
export type ShardImport = {
  readonly section: StateSection;
  readonly tables: StateTables;
  /** Chain that the exported shard's own decisions are kept as. */
  readonly chainId: string;
  /** Its head, with the first page of a shard. */
  readonly head?: ArchivedHead;
};

const nothingElse: ImportedDevices = { bindings: [], revokedKeys: [] };

/** @throws ImportError */
export function importIntoShard(sql: SqlStorage, page: ShardImport): ImportedDevices {
  const { section, chainId } = page;
  const rows = page.tables[section] ?? [];
  switch (section) {
    case 'devices':
      return importDevices(sql, page.tables);
    case 'chain_start':
      if (page.head !== undefined) openArchivedChain(sql, page.head);
      keepArchivedStart(sql, chainId, rows);
      return nothingElse;
    case 'decisions':
      archiveDecisions(sql, chainId, rows);
      return nothingElse;
    case 'user_tombstones':
      importTombstones(sql, rows);
      return nothingElse;
    case 'integration_tombstones':
      for (const row of rows) {
        sql.exec(
          'INSERT INTO integration_tombstones (integration_id) VALUES (?) ON CONFLICT DO NOTHING',
          textOf(row, 'integration_id'),
        );
      }
      return nothingElse;
    case 'enrollment_tokens':
    case 'enrollment_approvals':
    case 'archived_chains':
    case 'archived_decisions':
      importRows(sql, section, rows);
      return nothingElse;
    default:
      throw new ImportError(`a shard has no ${section}`);
  }
}

/** Every shard gets every tombstone, since a user's devices may be in any of them now. */
function importTombstones(sql: SqlStorage, rows: readonly StateRow[]): void {
  for (const row of rows) {
    sql.exec(
      `INSERT INTO user_tombstones (user_id, epoch) VALUES (?, ?)
       ON CONFLICT (user_id) DO UPDATE SET epoch = MAX(epoch, excluded.epoch)`,
      textOf(row, 'user_id'),
      wholeOf(row, 'epoch'),
    );
  }
}
