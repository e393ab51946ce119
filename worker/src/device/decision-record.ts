import { type DecisionRecord, decisionRecord } from '@countersign/protocol/decision-record';
import { appendRow } from '../audit/append-row.ts';
import { readChainStart } from '../audit/chain-start.ts';
import { type ChainHead, emptyChain } from '../audit/hash-chain.ts';

/** A chain that is being written; `head` moves on with each row. */
export type WrittenChain = { readonly sql: SqlStorage; head: ChainHead };

/** Appends a record to the shard's chain. Throws on a key that is already there: the caller has looked before. */
export function appendDecision(
  chain: WrittenChain,
  fields: Omit<DecisionRecord, 'v' | 'sequence'>,
): DecisionRecord {
  const record: DecisionRecord = { v: 1, sequence: chain.head.count + 1, ...fields };
  chain.head = appendRow(chain.sql, chain.head, record, record);
  return record;
}

/** The row that already spent this challenge for this device at this stage, if there is one. */
export function findDecision(
  sql: SqlStorage,
  challengeId: string,
  deviceId: string,
  stage: DecisionRecord['stage'],
): DecisionRecord | undefined {
  const [row] = sql
    .exec<{ record: string }>(
      'SELECT record FROM decisions WHERE challenge_id = ? AND device_id = ? AND stage = ?',
      challengeId,
      deviceId,
      stage,
    )
    .toArray();
  return row === undefined ? undefined : decisionRecord.parse(JSON.parse(row.record));
}

/** Whether any row has this id: of a challenge, or of an event that is known again by it. */
export const isRecorded = (sql: SqlStorage, id: string): boolean =>
  sql.exec('SELECT 1 FROM decisions WHERE challenge_id = ? LIMIT 1', id).toArray().length > 0;

/** The newest row's sequence number and hash; of an empty chain, what it begins with. */
export function readChainHead(sql: SqlStorage): ChainHead {
  const [row] = sql
    .exec<{ sequence: number; hash: ArrayBuffer }>(
      'SELECT sequence, hash FROM decisions ORDER BY sequence DESC LIMIT 1',
    )
    .toArray();
  if (row !== undefined) return { count: row.sequence, hash: new Uint8Array(row.hash) };
  return { count: 0, hash: readChainStart(sql)?.hash ?? emptyChain.hash };
}

/** A page of the chain, oldest first, exactly as stored. */
export function readDecisionPage(sql: SqlStorage, after: number, limit: number) {
  return sql
    .exec<{ sequence: number; record: string; hash: ArrayBuffer }>(
      'SELECT sequence, record, hash FROM decisions WHERE sequence > ? ORDER BY sequence LIMIT ?',
      after,
      limit,
    )
    .toArray()
    .map((row) => ({
      sequence: row.sequence,
      record: row.record,
      hash: new Uint8Array(row.hash),
    }));
}
