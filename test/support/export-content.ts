import { readFileSync } from 'node:fs';
import type { StateRow, StateTables } from '@countersign/protocol/state';
import { stateTables } from '@countersign/protocol/state';
import * as z from 'zod/mini';

const line = z.object({
  type: z.string(),
  export_id: z.optional(z.string()),
  object: z.optional(z.string()),
  shard: z.optional(z.int()),
  tables: z.optional(stateTables),
});

/** What depends on the number of shards, on an import itself, or on the numbers that it gives. */
const leftOut = new Set([
  'binding_reservations',
  'tombstone_deliveries',
  'imports',
  'chain_start',
  'settings',
  'decisions',
  'archived_chains',
  'archived_decisions',
  'user_tombstones',
]);

/** A certificate without its number; its lineage by the serial number of the certificate that began it. */
function withoutNumbers(tables: StateTables): StateRow[] {
  const rows = tables.certificates ?? [];
  const beginning = new Map(rows.map((row) => [row.certificate_number, row.serial_number]));
  return rows.map(({ certificate_number, lineage = null, ...row }, index) => ({
    ...row,
    lineage: beginning.get(lineage) ?? null,
    // The order within a device stays.
    order: rows.slice(0, index).filter((other) => other.device_id === row.device_id).length,
  }));
}

/** The content of an export in one order, without what an import gives anew. */
export function normalizedContent(path: string) {
  const rows: Record<string, string[]> = {};
  const chains: Record<string, string[]> = {};
  const tombstones = new Map<string, number>();
  let exportId = '';
  for (const text of readFileSync(path, 'utf8').trimEnd().split('\n')) {
    const { export_id, tables = {}, object, shard } = line.parse(JSON.parse(text));
    if (export_id !== undefined) exportId = export_id;
    for (const row of withoutNumbers(tables)) {
      rows.certificates ??= [];
      const members = Object.entries(row).toSorted(([a], [b]) => (a < b ? -1 : 1));
      rows.certificates.push(JSON.stringify(Object.fromEntries(members)));
    }
    for (const [table, ofTable] of Object.entries(tables)) {
      if (leftOut.has(table) || table === 'certificates') continue;
      rows[table] ??= [];
      // A job that was running is complete in an import.
      rows[table].push(...ofTable.map(({ completed_at_ms: _, ...row }) => JSON.stringify(row)));
    }
    for (const row of tables.decisions ?? []) {
      // The organization's chain goes on where it was; those of shards are archived under the export's name.
      const chain = object === 'organization' ? 'organization' : `${exportId}.${shard}`;
      chains[chain] ??= [];
      chains[chain].push(JSON.stringify([row.sequence, row.record, row.hash]));
    }
    for (const row of tables.archived_decisions ?? []) {
      const chain = String(row.chain_id);
      chains[chain] ??= [];
      chains[chain].push(JSON.stringify([row.sequence, row.record, row.hash]));
    }
    for (const { user_id, epoch } of tables.user_tombstones ?? []) {
      tombstones.set(
        String(user_id),
        Math.max(Number(epoch), tombstones.get(String(user_id)) ?? 0),
      );
    }
  }
  for (const ofTable of Object.values(rows)) ofTable.sort();
  rows.tombstones = [...tombstones].map((entry) => JSON.stringify(entry)).toSorted();
  return { exportId, rows, chains };
}
