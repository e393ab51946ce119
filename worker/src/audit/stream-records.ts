import type { LogStream } from '@countersign/protocol/system-log';
import * as z from 'zod/mini';
import { encodeLogCursor } from './search-log.ts';

/** Streams of the system log to webhooks, and how far each has come. */

const streamRow = z.object({
  stream_id: z.string(),
  name: z.string(),
  url: z.string(),
  sealed_secret: z.string(),
  status: z.enum(['active', 'paused']),
  created_at_ms: z.int(),
  /** Number of the newest event that was delivered. */
  delivered_through: z.int(),
  delivered_at_ms: z.nullable(z.int()),
  /** Number of the newest event that the last checkpoint on this stream covers, and when it was sent. */
  checkpoint_through: z.int(),
  checkpoint_at_ms: z.int(),
  failing_since_ms: z.nullable(z.int()),
  attempts: z.int(),
  due_at_ms: z.int(),
  failure: z.nullable(z.string()),
});
export type StreamRow = z.infer<typeof streamRow>;

/** The context in which a stream's secret is sealed. */
export const streamSecretContext = (streamId: string) => `log-stream/${streamId}`;

export function newestEventNumber(sql: SqlStorage): number {
  return sql
    .exec<{ newest: number }>('SELECT COALESCE(MAX(event_number), 0) AS newest FROM events')
    .one().newest;
}

export function readStreams(sql: SqlStorage): StreamRow[] {
  return z
    .array(streamRow)
    .parse(sql.exec('SELECT * FROM log_streams ORDER BY created_at_ms, stream_id').toArray());
}

export function findStream(sql: SqlStorage, streamId: string): StreamRow | undefined {
  return readStreams(sql).find(({ stream_id }) => stream_id === streamId);
}

export type NewStream = Pick<StreamRow, 'stream_id' | 'name' | 'url' | 'sealed_secret'> & {
  readonly from: 'now' | 'beginning';
};

export function insertStream(sql: SqlStorage, stream: NewStream, nowMs: number): void {
  const through = stream.from === 'now' ? newestEventNumber(sql) : 0;
  sql.exec(
    `INSERT INTO log_streams (stream_id, name, url, sealed_secret, status, created_at_ms,
       delivered_through, checkpoint_through, checkpoint_at_ms, attempts, due_at_ms)
     VALUES (?, ?, ?, ?, 'active', ?, ?, 0, 0, 0, ?)`,
    stream.stream_id,
    stream.name,
    stream.url,
    stream.sealed_secret,
    nowMs,
    through,
    nowMs,
  );
}

/** A stream goes on from where it was paused. */
export function resumeStream(sql: SqlStorage, streamId: string, nowMs: number): void {
  sql.exec(
    `UPDATE log_streams SET status = 'active', failing_since_ms = NULL, attempts = 0, due_at_ms = ?,
       failure = NULL WHERE stream_id = ?`,
    nowMs,
    streamId,
  );
}

export function deleteStream(sql: SqlStorage, streamId: string): void {
  sql.exec('DELETE FROM log_streams WHERE stream_id = ?', streamId);
}

const timeOf = (ms: number) => new Date(ms).toISOString();

function waitingEvents(sql: SqlStorage, deliveredThrough: number): number {
  return sql
    .exec<{ waiting: number }>(
      'SELECT COUNT(*) AS waiting FROM events WHERE event_number > ?',
      deliveredThrough,
    )
    .one().waiting;
}

/** A stream as administrators see it: everything but its secret. */
export function describeStream(sql: SqlStorage, generation: string, row: StreamRow): LogStream {
  return {
    stream_id: row.stream_id,
    name: row.name,
    url: row.url,
    status: row.status,
    created_at: timeOf(row.created_at_ms),
    cursor: encodeLogCursor({
      generation,
      number: row.delivered_through,
      publishedAtMs: row.delivered_at_ms ?? row.created_at_ms,
    }),
    waiting_events: waitingEvents(sql, row.delivered_through),
    ...(row.delivered_at_ms === null ? {} : { delivered_at: timeOf(row.delivered_at_ms) }),
    ...(row.failing_since_ms === null
      ? {}
      : {
          failing: {
            since: timeOf(row.failing_since_ms),
            attempts: row.attempts,
            detail: row.failure ?? '',
            ...(row.status === 'active' ? { retry_at: timeOf(row.due_at_ms) } : {}),
          },
        }),
  };
}
