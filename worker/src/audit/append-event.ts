import { appendRow } from './append-row.ts';
import type { ChainHead } from './hash-chain.ts';
import {
  type ChainName,
  displayMessageOf,
  type SystemLogEvent,
  type SystemLogRecord,
} from './system-log-event.ts';

/** Texts come from devices and administrators: a longer one is cut, so that a row has a largest size. */
const maxTextLength = 512;

const cut = (text: string) => text.slice(0, maxTextLength).toWellFormed();

export type AppendContext = {
  readonly shard: ChainName;
  readonly nowMs: number;
  /** 22 characters base64url. */
  readonly randomId: () => string;
};

/**
 * Appends an event to the chain of this object, in the block that makes the change it tells of.
 *
 * @param head of the chain in this object's `decisions` table
 * @returns the new head
 */
export function appendEvent(
  sql: SqlStorage,
  head: ChainHead,
  event: SystemLogEvent,
  context: AppendContext,
): ChainHead {
  const { user, debug_data } = event;
  const record: SystemLogRecord = {
    ...event,
    v: 1,
    kind: 'event',
    shard: context.shard,
    sequence: head.count + 1,
    recorded_at_ms: context.nowMs,
    id: context.randomId(),
    display_message: displayMessageOf(event.event_type),
    ...(user === undefined ? {} : { user: cut(user) }),
    debug_data: Object.fromEntries(
      Object.entries(debug_data).map(([name, text]) => [name, cut(text)]),
    ),
  };
  const { id, debug_data: told } = record;
  return appendRow(sql, head, { id, device_id: told.device_id ?? '', stage: 0 }, record);
}
