import { decodeBase64url, encodeBase64url } from '@countersign/protocol';
import { parseFields } from '@countersign/protocol/schemas';
import type { LogOrder, LogQuery } from '@countersign/protocol/system-log';
import * as z from 'zod/mini';
import { authenticationEventType } from './system-log-event.ts';

/** Search in the events of the report. */

/** What is looked for, checked. */
export type LogSearch = Omit<LogQuery, 'since' | 'until' | 'after' | 'limit' | 'format'> & {
  readonly sinceMs: number | undefined;
  readonly untilMs: number | undefined;
  readonly after: LogCursor | undefined;
  readonly limit: number;
};

/** The event after which a page begins. It means something only in the report that gave it. */
export const logCursor = z.strictObject({
  generation: z.string(),
  /** Of the event after which it goes on. */
  number: z.int().check(z.minimum(0)),
  publishedAtMs: z.int(),
});
export type LogCursor = z.infer<typeof logCursor>;

export function encodeLogCursor({ generation, number, publishedAtMs }: LogCursor): string {
  const text = JSON.stringify({ generation, number, publishedAtMs });
  return encodeBase64url(new TextEncoder().encode(text));
}

/** @returns `undefined` for a text that is no cursor */
export function decodeLogCursor(text: string): LogCursor | undefined {
  const bytes = decodeBase64url(text);
  if (bytes === undefined || bytes.length > 256) return undefined;
  try {
    const parsed = parseFields(logCursor, JSON.parse(new TextDecoder().decode(bytes)));
    return parsed.ok ? parsed.value : undefined;
  } catch {
    return undefined;
  }
}

/** So many events are looked at for one page at most: a filter that fits few keeps nobody else waiting. */
const lookedAtPerPage = 5000;

export type LogSearchPage = {
  /** JSON of `LogEvent`. */
  readonly events: readonly string[];
  readonly next: LogCursor;
  readonly more: boolean;
};

type Condition = { readonly text: string; readonly bindings: readonly SqlStorageValue[] };

const equals = (column: string, value: string | undefined): Condition[] =>
  value === undefined ? [] : [{ text: `${column} = ?`, bindings: [value] }];

function eventTypeCondition(eventType: string | undefined): Condition[] {
  if (eventType === undefined) return [];
  if (!eventType.endsWith('.*')) return equals('event_type', eventType);
  const prefix = eventType.slice(0, -1);
  // From the prefix to the next text that does not begin with it: "." is followed by "/".
  return [
    { text: 'event_type >= ? AND event_type < ?', bindings: [prefix, `${prefix.slice(0, -1)}/`] },
  ];
}

/** The condition of a partial index has to be in the query for SQLite to use it: it does not look at bound values. */
const equalsIndexed = (column: string, value: string | undefined): Condition[] =>
  equals(column, value).map(({ text, bindings }) => ({
    text: `${text} AND ${column} <> ''`,
    bindings,
  }));

function timeCondition(search: LogSearch, comparison: '>=' | '<', ms: number | undefined) {
  // By arrival, an index by time would have all that fits sorted for every page: the plus keeps SQLite from it.
  const column = search.order === 'arrival' ? '+published_at_ms' : 'published_at_ms';
  return ms === undefined ? [] : [{ text: `${column} ${comparison} ?`, bindings: [ms] }];
}

/** All that is about one certificate is about its device, too, for which there is an index. */
function deviceOf(sql: SqlStorage, serialNumber: string | undefined): string | undefined {
  if (serialNumber === undefined) return undefined;
  const [first, ...others] = sql
    .exec<{ device_id: string }>(
      'SELECT DISTINCT device_id FROM certificate_serials WHERE serial_number = ?',
      serialNumber,
    )
    .toArray();
  return others.length > 0 || first?.device_id === '' ? undefined : first?.device_id;
}

/** Filters that an index is for, and all others, which are looked at event by event. */
function conditionsOf(sql: SqlStorage, search: LogSearch) {
  const serialNumber = search.serial_number?.toLowerCase();
  const { event_type: eventType } = search;
  const isRareType =
    eventType !== undefined &&
    eventType !== authenticationEventType &&
    !eventType.endsWith('.*') &&
    search.order !== 'arrival';
  const indexed: Condition[] = [
    ...equalsIndexed('user_id', search.user),
    ...equalsIndexed('device_id', search.device_id ?? deviceOf(sql, serialNumber)),
    ...(isRareType
      ? [
          {
            text: `event_type = ? AND event_type <> '${authenticationEventType}'`,
            bindings: [eventType],
          },
        ]
      : []),
    ...timeCondition(search, '>=', search.sinceMs),
    ...timeCondition(search, '<', search.untilMs),
  ];
  const others = [
    ...(isRareType ? [] : eventTypeCondition(eventType)),
    ...equals('serial_number', serialNumber),
    ...equals('outcome', search.outcome),
    ...equals('integration_id', search.integration_id),
    ...equals('application', search.application),
    ...equals('reason', search.reason),
  ];
  return { indexed, others };
}

const orderings: Readonly<
  Record<LogOrder, { by: string; after: (cursor: LogCursor) => Condition }>
> = {
  arrival: {
    by: 'event_number',
    after: ({ number }) => ({ text: 'event_number > ?', bindings: [number] }),
  },
  oldest: {
    by: 'published_at_ms, event_number',
    after: ({ publishedAtMs, number }) => ({
      text: '(published_at_ms, event_number) > (?, ?)',
      bindings: [publishedAtMs, number],
    }),
  },
  newest: {
    by: 'published_at_ms DESC, event_number DESC',
    after: ({ publishedAtMs, number }) => ({
      text: '(published_at_ms, event_number) < (?, ?)',
      bindings: [publishedAtMs, number],
    }),
  },
};

/** `event` is null where the other filters do not fit. */
type FoundRow = { event_number: number; published_at_ms: number; event: string | null };

/** Where a report begins, before all of its events in any order that begins with the oldest. */
export const firstCursor = (generation: string): LogCursor => ({
  generation,
  number: 0,
  publishedAtMs: 0,
});

/** One page. Looks at a limited number of events, and goes on after the last of them the next time. */
export function searchLog(sql: SqlStorage, generation: string, search: LogSearch): LogSearchPage {
  const { indexed, others } = conditionsOf(sql, search);
  const ordering = orderings[search.order];
  if (search.after !== undefined) indexed.push(ordering.after(search.after));
  const where =
    indexed.length === 0 ? '' : `WHERE ${indexed.map(({ text }) => text).join(' AND ')}`;
  const fits = others.length === 0 ? '1' : others.map(({ text }) => text).join(' AND ');
  const rows = sql.exec<FoundRow>(
    `SELECT event_number, published_at_ms, CASE WHEN ${fits} THEN event END AS event
     FROM events ${where} ORDER BY ${ordering.by} LIMIT ${lookedAtPerPage}`,
    ...others.flatMap(({ bindings }) => bindings),
    ...indexed.flatMap(({ bindings }) => bindings),
  );
  const events: string[] = [];
  let next = search.after ?? firstCursor(generation);
  let lookedAt = 0;
  for (const row of rows) {
    if (events.length === search.limit) return { events, next, more: true };
    lookedAt += 1;
    if (row.event !== null) events.push(row.event);
    next = { generation, number: row.event_number, publishedAtMs: row.published_at_ms };
  }
  return { events, next, more: lookedAt === lookedAtPerPage };
}
