import type { CheckpointChain, CheckpointSet } from '@countersign/protocol/system-log';
import { type DurableStore, isUnavailable } from '../storage/durable-store.ts';
import { readCheckpointChains } from './checkpoints.ts';
import type { Delivery, DeliveryOutcome } from './send-delivery.ts';
import { newestEventNumber, readStreams, type StreamRow } from './stream-records.ts';

/** Brings events to the webhooks, each stream in order, at least once, and ever less often where it fails. */

const eventsPerDelivery = 100;
/** A delivery ends before the event that would make it longer, but has at least one. */
const maxDeliveryCharacters = 512 * 1024;
const deliveriesPerRound = 20;
/** A stream whose receiver is slow begins no further delivery after this: the next round waits for all streams. */
const longestRoundMs = 10_000;
const firstRetryMs = 5_000;
const longestRetryMs = 15 * 60_000;
/** After failing for so long a stream is paused, and its administrators are told by an event. */
export const pauseAfterMs = 24 * 3_600_000;
/** Between two checkpoints on one stream, while there is something new to cover. */
export const checkpointEveryMs = 10 * 60_000;

export type StreamContext = {
  readonly store: DurableStore;
  readonly now: () => number;
  readonly signCheckpoints: (chains: readonly CheckpointChain[]) => Promise<CheckpointSet>;
  /** `undefined` when it does not open: the key was exchanged. */
  readonly openSecret: (stream: StreamRow) => Promise<string | undefined>;
  readonly send: (delivery: Delivery) => Promise<DeliveryOutcome>;
  readonly onPaused: (stream: StreamRow, detail: string) => Promise<void>;
};

type Batch = {
  readonly events: readonly string[];
  readonly through: number;
  /** Left out where no checkpoint is due. */
  readonly chains: readonly CheckpointChain[];
  /** The newest event here: a checkpoint that is made now covers it. */
  readonly newest: number;
};

function isCheckpointDue(stream: StreamRow, through: number, nowMs: number): boolean {
  return (
    stream.checkpoint_through < through &&
    Math.abs(nowMs - stream.checkpoint_at_ms) >= checkpointEveryMs
  );
}

function readBatch(sql: SqlStorage, stream: StreamRow, nowMs: number): Batch {
  const rows = sql
    .exec<{ event_number: number; event: string }>(
      'SELECT event_number, event FROM events WHERE event_number > ? ORDER BY event_number LIMIT ?',
      stream.delivered_through,
      eventsPerDelivery,
    )
    .toArray();
  const events: string[] = [];
  let characters = 0;
  let through = stream.delivered_through;
  for (const { event_number, event } of rows) {
    characters += event.length;
    if (events.length > 0 && characters > maxDeliveryCharacters) break;
    events.push(event);
    through = event_number;
  }
  const chains = isCheckpointDue(stream, through, nowMs) ? readCheckpointChains(sql) : [];
  return { events, through, chains, newest: newestEventNumber(sql) };
}

/** Longer with each failure in a row. */
export function retryAfterMs(attempts: number): number {
  return Math.min(firstRetryMs * 2 ** Math.min(attempts - 1, 20), longestRetryMs);
}

/** @returns whether the stream is paused now */
function recordFailure(sql: SqlStorage, stream: StreamRow, detail: string, nowMs: number): boolean {
  const since = stream.failing_since_ms ?? nowMs;
  const attempts = stream.attempts + 1;
  const isPaused = nowMs - since >= pauseAfterMs;
  sql.exec(
    `UPDATE log_streams SET failing_since_ms = ?, attempts = ?, failure = ?, due_at_ms = ?,
       status = ? WHERE stream_id = ? AND status = 'active'`,
    since,
    attempts,
    detail,
    nowMs + retryAfterMs(attempts),
    isPaused ? 'paused' : 'active',
    stream.stream_id,
  );
  return isPaused;
}

function recordDelivery(sql: SqlStorage, stream: StreamRow, batch: Batch, nowMs: number): void {
  const isCovered = batch.chains.length > 0;
  sql.exec(
    `UPDATE log_streams SET delivered_through = MAX(delivered_through, ?), delivered_at_ms = ?,
       checkpoint_through = ?, checkpoint_at_ms = ?, failing_since_ms = NULL, attempts = 0,
       failure = NULL, due_at_ms = ? WHERE stream_id = ?`,
    batch.through,
    nowMs,
    isCovered ? batch.newest : stream.checkpoint_through,
    isCovered ? nowMs : stream.checkpoint_at_ms,
    nowMs,
    stream.stream_id,
  );
}

async function send(context: StreamContext, stream: StreamRow, batch: Batch) {
  const secret = await context.openSecret(stream);
  if (secret === undefined) {
    return {
      ok: false,
      detail: 'the secret of the stream does not open: create it again',
    } as const;
  }
  const { stream_id, url } = stream;
  const signed = await context.signCheckpoints(batch.chains);
  const head = JSON.stringify({ stream_id, ...signed }).slice(0, -1);
  return await context.send({ url, secret, body: `${head},"events":[${batch.events.join(',')}]}` });
}

/** @returns whether there may be more for this stream at once */
async function deliverOnce(context: StreamContext, streamId: string): Promise<boolean> {
  const { store, now } = context;
  const found = store.read((sql) => {
    const stream = readStreams(sql).find(({ stream_id }) => stream_id === streamId);
    if (stream?.status !== 'active' || stream.due_at_ms > now()) return undefined;
    return { stream, batch: readBatch(sql, stream, now()) };
  });
  if (found === undefined || isUnavailable(found)) return false;
  const { stream, batch } = found;
  if (batch.events.length === 0 && batch.chains.length === 0) return false;
  const outcome = await send(context, stream, batch);
  if (outcome.ok) {
    const stored = await store.write((sql) => recordDelivery(sql, stream, batch, now()));
    return !isUnavailable(stored) && batch.events.length > 0;
  }
  const paused = await store.write((sql) => recordFailure(sql, stream, outcome.detail, now()));
  if (paused === true) await context.onPaused(stream, outcome.detail);
  return false;
}

/** One round: every stream that is due, beside each other, so that none waits for another's receiver. */
export async function deliverStreams(context: StreamContext): Promise<void> {
  const streams = context.store.read(readStreams);
  if (isUnavailable(streams)) return;
  const beganAtMs = context.now();
  await Promise.all(
    streams.map(async ({ stream_id }) => {
      for (let delivery = 0; delivery < deliveriesPerRound; delivery++) {
        if (!(await deliverOnce(context, stream_id))) return;
        if (Math.abs(context.now() - beganAtMs) >= longestRoundMs) return;
      }
    }),
  );
}

/** When the next delivery is due; `undefined` when nothing waits. */
export function nextDeliveryMs(sql: SqlStorage): number | undefined {
  const newest = newestEventNumber(sql);
  const due = readStreams(sql)
    .filter(({ status }) => status === 'active')
    .flatMap((stream) => {
      if (stream.delivered_through < newest) return [stream.due_at_ms];
      if (stream.checkpoint_through >= stream.delivered_through) return [];
      return [Math.max(stream.due_at_ms, stream.checkpoint_at_ms + checkpointEveryMs)];
    });
  return due.length === 0 ? undefined : Math.min(...due);
}
