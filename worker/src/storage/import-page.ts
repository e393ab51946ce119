import type { ImportPage, StateRow, StateTables } from '@countersign/protocol/state';
import type { ArchivedHead } from '../audit/archived-chains.ts';
import { shardOfBytes, shardOfId } from '../device/placement.ts';
import type { ImportedDevices } from '../device/transfer-devices.ts';
import type { ShardImport } from '../device/transfer-shard.ts';
import type { StorageUnavailable } from './durable-store.ts';
import type { ImportAnswer, ImportRefusal } from './import-block.ts';
import { bytesOf, ImportError, textOf } from './import-rows.ts';

type Refusal = ImportRefusal | StorageUnavailable;
type Done = { readonly ok: true } | Refusal;

/** What distributing a page needs of the world, as functions. */
export type ImportContext = {
  readonly shardCount: number;
  /** Heads of the chains that this import archives. */
  readonly chains: readonly ArchivedHead[];
  readonly importIntoShard: (
    shard: number,
    page: ShardImport,
  ) => Promise<ImportAnswer<ImportedDevices>>;
  readonly importKeys: (shard: number, rows: StateRow[]) => Promise<Done>;
  readonly blockKey: (shard: number, spkiSha256: Uint8Array) => Promise<{ readonly ok: boolean }>;
  readonly importOrganization: (page: ImportPage) => Promise<Done>;
  readonly reserve: (shard: number, bindings: ImportedDevices['bindings']) => Promise<Done>;
};

const done = { ok: true } as const;

/** In which shard an archived chain is kept: it says so itself. */
export function shardOfChain(chainId: string, shardCount: number): number {
  return Number(chainId.slice(chainId.lastIndexOf('.') + 1)) % shardCount;
}

/** Rows by the shard that they go to, in their order. */
function byShard(
  tables: StateTables,
  shardOf: (row: StateRow) => number,
): ReadonlyMap<number, StateTables> {
  const shards = new Map<number, Record<string, StateRow[]>>();
  for (const [table, rows] of Object.entries(tables)) {
    for (const row of rows) {
      const shard = shardOf(row);
      const ofShard = shards.get(shard) ?? {};
      shards.set(shard, ofShard);
      ofShard[table] ??= [];
      ofShard[table].push(row);
    }
  }
  return shards;
}

/** Which new shard a row of a device shard belongs to. */
function placeRow(page: ImportPage, shardCount: number): (row: StateRow) => number {
  if (page.section === 'archived_chains' || page.section === 'archived_decisions') {
    return (row) => shardOfChain(textOf(row, 'chain_id'), shardCount);
  }
  return (row) => {
    const shard = shardOfId(textOf(row, 'device_id'), shardCount);
    if (shard === undefined) throw new ImportError('a device id is malformed');
    return shard;
  };
}

/**
 * Stores a page of an exported shard where it belongs now, with what follows from it: reservations for its bindings,
 * and a block for each key whose certificate is revoked, whether or not the export had them.
 */
async function importDevicePage(context: ImportContext, page: ImportPage): Promise<Done> {
  const { shardCount } = context;
  const { section } = page;
  const chainId = `${page.import_id}.${page.shard}`;
  const chain = context.chains.find(({ chain_id }) => chain_id === chainId);
  const home = page.shard % shardCount;
  let shards: ReadonlyMap<number, StateTables>;
  if (section === 'user_tombstones' || section === 'integration_tombstones') {
    shards = new Map(Array.from({ length: shardCount }, (_, shard) => [shard, page.tables]));
  } else if (section === 'chain_start' || section === 'decisions') {
    shards = new Map([[home, page.tables]]);
  } else {
    shards = byShard(page.tables, placeRow(page, shardCount));
  }
  const head = section === 'chain_start' && chain !== undefined ? { head: chain } : {};
  for (const [shard, tables] of shards) {
    const imported = await context.importIntoShard(shard, { section, tables, chainId, ...head });
    if (!imported.ok) return imported;
    const { bindings, revokedKeys } = imported.value;
    if (bindings.length > 0) {
      const reserved = await context.reserve(shard, bindings);
      if (!reserved.ok) return reserved;
    }
    for (const key of revokedKeys) {
      const blocked = await context.blockKey(shardOfBytes(key, shardCount), key);
      if (!blocked.ok) return { ok: false, code: 'import_refused', detail: 'a key is not blocked' };
    }
  }
  return done;
}

async function importKeyPage(context: ImportContext, page: ImportPage): Promise<Done> {
  const place = (row: StateRow) => shardOfBytes(bytesOf(row, 'spki_sha256'), context.shardCount);
  for (const [shard, tables] of byShard({ keys: page.tables.keys ?? [] }, place)) {
    const stored = await context.importKeys(shard, tables.keys ?? []);
    if (!stored.ok) return stored;
  }
  return done;
}

/** Stores one page of an export, under the number of shards that there is now. */
export async function importStatePage(context: ImportContext, page: ImportPage): Promise<Done> {
  try {
    switch (page.object) {
      case 'device':
        return await importDevicePage(context, page);
      case 'key':
        return await importKeyPage(context, page);
      case 'organization':
        return await context.importOrganization(page);
    }
  } catch (error) {
    if (!(error instanceof ImportError)) throw error;
    return { ok: false, code: 'import_refused', detail: error.message };
  }
}
