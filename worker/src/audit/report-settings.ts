import { defaultRetentionDays } from '@countersign/protocol/system-log';

/** Settings of the report, and what follows from them. */

const dayMs = 86_400_000;

function readSetting(sql: SqlStorage, name: string): string | undefined {
  return sql.exec<{ value: string }>('SELECT value FROM settings WHERE name = ?', name).toArray()[0]
    ?.value;
}

/** Random, made with the database: cursors of another one mean nothing here. */
export function readGeneration(sql: SqlStorage): string {
  return readSetting(sql, 'generation') ?? '';
}

export function readRetentionDays(sql: SqlStorage): number {
  const days = Number(readSetting(sql, 'retention_days') ?? defaultRetentionDays);
  return Number.isSafeInteger(days) && days > 0 ? days : defaultRetentionDays;
}

export function writeRetentionDays(sql: SqlStorage, days: number): void {
  sql.exec(
    `INSERT INTO settings (name, value) VALUES ('retention_days', ?)
     ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
    String(days),
  );
}

/** What was recorded before this moment is not searched any more. */
export function keepFromMs(sql: SqlStorage, nowMs: number): number {
  return nowMs - readRetentionDays(sql) * dayMs;
}

const rowsPerRemoval = 2_000;

/**
 * Removes events that have grown too old, a limited number at once. What an active stream has not delivered stays, and so
 * does the newest event, whose number is not to be given twice.
 *
 * @returns whether there may be more
 */
export function removeOldEvents(sql: SqlStorage, nowMs: number): boolean {
  const removed = sql.exec(
    `DELETE FROM events WHERE event_number IN (
       SELECT event_number FROM events WHERE published_at_ms < ?
         AND event_number < (SELECT MAX(event_number) FROM events)
         AND event_number <= COALESCE(
           (SELECT MIN(delivered_through) FROM log_streams WHERE status = 'active'),
           9223372036854775807)
       ORDER BY published_at_ms LIMIT ${rowsPerRemoval}) RETURNING 1`,
    keepFromMs(sql, nowMs),
  );
  return removed.toArray().length === rowsPerRemoval;
}
