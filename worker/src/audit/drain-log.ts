import {
  type DurableStore,
  isUnavailable,
  type StorageUnavailable,
} from '../storage/durable-store.ts';
import { readChainStart } from './chain-start.ts';
import type { ChainRow } from './log-event.ts';
import type { RowBatch, TakenIn } from './take-in-rows.ts';

/** Brings the rows of an object's chains to the system log: those it has now, and those that imports archived. */

export type IntakeAnswer = ({ readonly ok: true } & TakenIn) | StorageUnavailable;

/** `drained`: there was nothing more. Otherwise the object's alarm is to come back. */
export type DrainResult = 'drained' | 'more' | 'failed';

const rowsPerBatch = 500;
const batchesPerDrain = 20;

const cursorOf = (chainId: string | undefined) =>
  chainId === undefined ? 'report' : `report/${chainId}`;

type ChainSource = {
  /** Of an archived chain; the chain that is being written is named by its rows. */
  readonly chainId: string | undefined;
  readonly start: string | undefined;
};

function readRows(sql: SqlStorage, chainId: string | undefined, after: number): ChainRow[] {
  const [table, condition, bindings] =
    chainId === undefined
      ? ['decisions', '', [after]]
      : ['archived_decisions', 'AND chain_id = ?', [after, chainId]];
  return sql
    .exec<{ sequence: number; record: string; hash: ArrayBuffer }>(
      `SELECT sequence, record, hash FROM ${table} WHERE sequence > ? ${condition}
       ORDER BY sequence LIMIT ${rowsPerBatch}`,
      ...bindings,
    )
    .toArray()
    .map((row) => ({ ...row, hash: new Uint8Array(row.hash) }));
}

function readCursor(sql: SqlStorage, chainId: string | undefined): number {
  return (
    sql
      .exec<{ sequence: number }>(
        'SELECT sequence FROM outbox_cursors WHERE name = ?',
        cursorOf(chainId),
      )
      .toArray()[0]?.sequence ?? 0
  );
}

function writeCursor(sql: SqlStorage, chainId: string | undefined, sequence: number): void {
  sql.exec(
    `INSERT INTO outbox_cursors (name, sequence) VALUES (?, ?)
     ON CONFLICT (name) DO UPDATE SET sequence = excluded.sequence`,
    cursorOf(chainId),
    sequence,
  );
}

/** Archived chains that are not wholly brought yet, oldest name first, then the one that is being written. */
function listSources(sql: SqlStorage, hasArchives: boolean): ChainSource[] {
  if (!hasArchives) return [{ chainId: undefined, start: undefined }];
  const archived = sql
    .exec<{ chain_id: string; count: number; start: string | null }>(
      'SELECT chain_id, count, start FROM archived_chains ORDER BY chain_id',
    )
    .toArray()
    .filter(({ chain_id, count }) => readCursor(sql, chain_id) < count)
    .map(({ chain_id, start }) => ({ chainId: chain_id, start: start ?? undefined }));
  return [...archived, { chainId: undefined, start: readChainStart(sql)?.record }];
}

/** The name of the chain that is being written, as each of its rows has it. */
function nameIn(row: ChainRow): string {
  const record: unknown = JSON.parse(row.record);
  const shard = typeof record === 'object' && record !== null && 'shard' in record && record.shard;
  return String(shard);
}

function readBatch(sql: SqlStorage, { chainId, start }: ChainSource): RowBatch | undefined {
  const after = readCursor(sql, chainId);
  const rows = readRows(sql, chainId, after);
  const [first] = rows;
  if (first === undefined) return undefined;
  return { chain: chainId ?? nameIn(first), start, after, rows };
}

/**
 * Called by the object's alarm. What a crash leaves between the report's intake and the cursor here is brought twice and
 * taken in once; where the report knows less than the cursor says, it says so, and the rows are brought again.
 *
 * @param hasArchives whether imports archive chains in this object; in the organization they do not
 * @param takeIn of the `ReportObject`; a failure of the call is for the caller's next alarm
 */
export async function drainLog(
  store: DurableStore,
  takeIn: (batch: RowBatch) => Promise<IntakeAnswer>,
  hasArchives = true,
): Promise<DrainResult> {
  const sources = store.read((sql) => listSources(sql, hasArchives));
  if (isUnavailable(sources)) return 'failed';
  let batches = 0;
  for (const source of sources) {
    for (;;) {
      const batch = store.read((sql) => readBatch(sql, source));
      if (isUnavailable(batch)) return 'failed';
      if (batch === undefined) break;
      if (batches === batchesPerDrain) return 'more';
      batches += 1;
      const taken = await takeIn(batch).catch((error: unknown) => {
        console.error(JSON.stringify({ event: 'log_not_drained', detail: String(error) }));
        return undefined;
      });
      if (taken === undefined || !taken.ok) return 'failed';
      const written = await store.write((sql) => writeCursor(sql, source.chainId, taken.sequence));
      if (isUnavailable(written)) return 'failed';
    }
  }
  return 'drained';
}

/** Has the next drain bring everything, as for a report that is to be made again. */
export function restartDrain(sql: SqlStorage): void {
  sql.exec(`DELETE FROM outbox_cursors WHERE name = 'report' OR name LIKE 'report/%'`);
}
