import type { StateRow } from '@countersign/protocol/state';
import { ImportError, importRows, textOf } from '../storage/import-rows.ts';
import { makeChainStart } from './chain-start.ts';

/** Chains of decisions from before an import, kept row by row as they were. */

/** As in the messages of an import. */
export type ArchivedHead = {
  readonly chain_id: string;
  readonly count: number;
  /** base64url. */
  readonly hash: string;
};

/** Notes that a chain will be kept here. Its rows follow. */
export function openArchivedChain(sql: SqlStorage, { chain_id, count, hash }: ArchivedHead): void {
  importRows(sql, 'archived_chains', [{ chain_id, count, hash: { bytes: hash }, start: null }]);
}

/** Keeps what the archived chain itself had begun with, when it had followed an import. */
export function keepArchivedStart(sql: SqlStorage, chainId: string, rows: readonly StateRow[]) {
  for (const row of rows) {
    sql.exec(
      'UPDATE archived_chains SET start = ? WHERE chain_id = ?',
      textOf(row, 'record'),
      chainId,
    );
  }
}

/** Rows of `decisions` as they were read. */
export function archiveDecisions(sql: SqlStorage, chainId: string, rows: readonly StateRow[]) {
  importRows(
    sql,
    'archived_decisions',
    rows.map(({ sequence = null, record = null, hash = null }) => ({
      chain_id: chainId,
      sequence,
      record,
      hash,
    })),
  );
}

type ChainRow = { chain_id: string; count: number; hash: ArrayBuffer; start: string | null };

function readArchivedChains(sql: SqlStorage, chainId?: string) {
  const [where, bindings] = chainId === undefined ? ['', []] : ['WHERE chain_id = ?', [chainId]];
  return sql
    .exec<ChainRow>(
      `SELECT chain_id, count, hash, start FROM archived_chains ${where} ORDER BY chain_id`,
      ...bindings,
    )
    .toArray()
    .map((row) => ({
      chainId: row.chain_id,
      count: row.count,
      hash: new Uint8Array(row.hash),
      start: row.start,
    }));
}

/** A page of an archived chain, oldest first; `undefined` when it is not kept here. */
export function readArchivedPage(sql: SqlStorage, chainId: string, after: number, limit: number) {
  const [chain] = readArchivedChains(sql, chainId);
  if (chain === undefined) return undefined;
  const rows = sql
    .exec<{ sequence: number; record: string; hash: ArrayBuffer }>(
      `SELECT sequence, record, hash FROM archived_decisions
       WHERE chain_id = ? AND sequence > ? ORDER BY sequence LIMIT ?`,
      chainId,
      after,
      limit,
    )
    .toArray()
    .map((row) => ({ ...row, hash: new Uint8Array(row.hash) }));
  return { ...chain, rows };
}

/**
 * Ends an import here: every archived chain must be there to its last row, and the new chain begins with their heads.
 * Idempotent.
 *
 * @throws ImportError
 */
export function startChain(sql: SqlStorage, shard: number, importId: string): void {
  const archived = readArchivedChains(sql);
  for (const { chainId, count } of archived) {
    const { kept } = sql
      .exec<{ kept: number }>(
        'SELECT COUNT(*) AS kept FROM archived_decisions WHERE chain_id = ?',
        chainId,
      )
      .one();
    if (kept !== count) {
      throw new ImportError(`chain ${chainId} has ${kept} decisions instead of ${count}`);
    }
  }
  const { record, hash } = makeChainStart(shard, importId, archived);
  sql.exec(
    'INSERT INTO chain_start (id, record, hash) VALUES (0, ?, ?) ON CONFLICT (id) DO NOTHING',
    record,
    hash,
  );
}
