import { createHash } from 'node:crypto';
import { encodeBase64url } from '@countersign/protocol';
import type { LogEvent } from '@countersign/protocol/system-log';
import { emptyChain, extendChain } from './hash-chain.ts';
import { type ChainRow, showRow } from './log-event.ts';

/** Rows of one chain as a shard brings them. */
export type RowBatch = {
  /** A shard's number, `organization`, or the name of a chain that an import archived. */
  readonly chain: string;
  /** What the chain began with after an import: canonical JSON. */
  readonly start: string | undefined;
  /** The row before the first one of these, by its sequence number. */
  readonly after: number;
  /** Oldest first, without a gap. */
  readonly rows: readonly ChainRow[];
};

export type TakenIn = {
  /** The newest row of the chain that is known here now: the shard goes on after it, or back to it. */
  readonly sequence: number;
  /** The first row that does not fit to the one before it, if it was found in this batch. */
  readonly brokenAt?: number;
};

type ChainState = { readonly sequence: number; readonly hash: Uint8Array };

function readChain(sql: SqlStorage, chain: string): ChainState | undefined {
  const [row] = sql
    .exec<{ sequence: number; hash: ArrayBuffer }>(
      'SELECT sequence, hash FROM chains WHERE chain = ?',
      chain,
    )
    .toArray();
  return row === undefined ? undefined : { sequence: row.sequence, hash: new Uint8Array(row.hash) };
}

function beginning(start: string | undefined): ChainState {
  if (start === undefined) return { sequence: 0, hash: emptyChain.hash };
  return { sequence: 0, hash: new Uint8Array(createHash('sha256').update(start, 'utf8').digest()) };
}

const sameBytes = (a: Uint8Array, b: Uint8Array) =>
  a.length === b.length && a.every((byte, index) => byte === b[index]);

function keepSerial(sql: SqlStorage, { certificate, debugContext }: LogEvent): void {
  if (certificate?.fingerprintSha256 === undefined || certificate.serialNumber === undefined)
    return;
  sql.exec(
    `INSERT INTO certificate_serials (fingerprint_sha256, serial_number, device_id) VALUES (?, ?, ?)
     ON CONFLICT (fingerprint_sha256) DO NOTHING`,
    certificate.fingerprintSha256,
    certificate.serialNumber,
    debugContext.debugData.device_id ?? '',
  );
}

function findSerial(sql: SqlStorage, fingerprintSha256: string): string | undefined {
  return sql
    .exec<{ serial_number: string }>(
      'SELECT serial_number FROM certificate_serials WHERE fingerprint_sha256 = ?',
      fingerprintSha256,
    )
    .toArray()[0]?.serial_number;
}

/** Whether a row that was taken in before has become another one. */
function isOther(sql: SqlStorage, chain: string, { sequence, hash }: ChainRow): boolean {
  const [taken] = sql
    .exec<{ uuid: string }>(
      `SELECT json_extract(event, '$.uuid') AS uuid FROM events WHERE chain = ? AND sequence = ?`,
      chain,
      sequence,
    )
    .toArray();
  return taken !== undefined && taken.uuid !== encodeBase64url(hash);
}

/** The same row again, as when everything is brought once more, keeps its number and its place in every stream. */
function keepEvent(sql: SqlStorage, event: LogEvent): void {
  const { record, outcome, debugContext } = event;
  sql.exec(
    `INSERT INTO events (chain, sequence, published_at_ms, event_type, outcome, reason, user_id,
       device_id, integration_id, application, serial_number, event)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (chain, sequence) DO UPDATE SET serial_number = excluded.serial_number,
       event = excluded.event`,
    record.chain,
    record.sequence,
    Date.parse(event.published),
    event.eventType,
    outcome.result,
    outcome.reason ?? '',
    event.user ?? '',
    debugContext.debugData.device_id ?? '',
    event.integrationId ?? '',
    event.application ?? '',
    event.certificate?.serialNumber ?? '',
    JSON.stringify(event),
  );
}

/**
 * Takes rows of a chain in, in one block: each once, however often it is brought, and none before the one ahead of it.
 * Whether they still are one chain is looked at on the way; where they are not, they are taken in all the same.
 *
 * @param keepFromMs what was recorded earlier cannot be searched any more, and is only counted
 */
export function takeInRows(
  sql: SqlStorage,
  { chain, start, after, rows }: RowBatch,
  nowMs: number,
  keepFromMs: number,
): TakenIn {
  let state = readChain(sql, chain) ?? beginning(start);
  if (after > state.sequence) return { sequence: state.sequence };
  let brokenAt: number | undefined;
  const show = { nowMs, serialNumberOf: (fingerprint: string) => findSerial(sql, fingerprint) };
  // All rows before one with the right hash are right, too.
  const known = rows.findLast(({ sequence }) => sequence <= state.sequence);
  if (known !== undefined && isOther(sql, chain, known)) {
    // The shard's rows are others than those that were taken in, as after an older copy was put back. What it has no
    // longer stays searchable.
    brokenAt = known.sequence;
    sql.exec(
      'UPDATE events SET chain = ? WHERE chain = ? AND sequence > ?',
      `${chain}~${nowMs}`,
      chain,
      after,
    );
    state = { sequence: after, hash: state.hash };
  }
  for (const row of rows) {
    if (row.sequence !== state.sequence + 1) continue;
    const { hash } = extendChain({ count: state.sequence, hash: state.hash }, row.record);
    if (brokenAt === undefined && !sameBytes(hash, row.hash)) brokenAt = row.sequence;
    const event = showRow(chain, row, show);
    keepSerial(sql, event);
    if (Date.parse(event.published) >= keepFromMs) keepEvent(sql, event);
    state = { sequence: row.sequence, hash: row.hash };
  }
  sql.exec(
    `INSERT INTO chains (chain, start, sequence, hash, broken_at) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (chain) DO UPDATE SET start = excluded.start, sequence = excluded.sequence,
       hash = excluded.hash, broken_at = COALESCE(broken_at, excluded.broken_at)`,
    chain,
    start ?? null,
    state.sequence,
    state.hash,
    brokenAt ?? null,
  );
  return { sequence: state.sequence, ...(brokenAt === undefined ? {} : { brokenAt }) };
}

/** Forgets how far each chain is known, so that its shard brings all of it again. Events keep their numbers. */
export function forgetChains(sql: SqlStorage): void {
  sql.exec('DELETE FROM chains');
}
