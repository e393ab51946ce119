import { encodeBase64url } from '@countersign/protocol';
import { parseFields } from '@countersign/protocol/schemas';
import {
  defaultLogPage,
  type LogQuery,
  logQuery,
  logSettings,
  maxLogPage,
} from '@countersign/protocol/system-log';
import { decodeLogCursor, encodeLogCursor, type LogSearch } from '../../audit/search-log.ts';
import { askObject, type Broker, deviceShard } from '../broker.ts';
import { type AdminContext, forAdmin } from '../for-admin.ts';
import { readBody } from '../read-body.ts';
import { readWhole } from '../read-whole.ts';
import { logEvent } from '../route-context.ts';

/** The system log: search, export as JSON lines, retention, checkpoints. */

type Wrong = { readonly ok: false; readonly field: string; readonly detail?: string };

function searchOf(query: LogQuery): { readonly ok: true; readonly search: LogSearch } | Wrong {
  const { since, until, after, limit, format, ...filters } = query;
  const cursor = after === undefined ? undefined : decodeLogCursor(after);
  if (after !== undefined && cursor === undefined) return { ok: false, field: 'after' };
  const count = readWhole(limit ?? String(defaultLogPage), 1, maxLogPage);
  if (count === undefined && format === 'json') return { ok: false, field: 'limit' };
  return {
    ok: true,
    search: {
      ...filters,
      sinceMs: since === undefined ? undefined : Date.parse(since),
      untilMs: until === undefined ? undefined : Date.parse(until),
      after: cursor,
      limit: format === 'ndjson' ? maxLogPage : (count ?? defaultLogPage),
    },
  };
}

/** A parameter that comes twice would be one that is left out unseen. */
function readQuery(request: Request) {
  const parameters = new URL(request.url).searchParams;
  const names = [...parameters.keys()];
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) return { ok: false, field: twice, detail: 'must come once' } as const;
  return parseFields(logQuery, Object.fromEntries(parameters));
}

const search = (broker: Broker, asked: LogSearch) => askObject(() => broker.report().search(asked));

/**
 * All that fits, one page after the other as they are taken. A page that cannot be had breaks the answer off, which the
 * receiver notices: it is never a shorter answer that looks whole.
 */
function streamLines(broker: Broker, first: LogSearch, page: LogSearchFound): ReadableStream {
  const encoder = new TextEncoder();
  let current = page;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      // What enqueues nothing is not asked again: pages without an event are passed over here.
      for (let isEmpty = true; isEmpty; ) {
        isEmpty = current.events.length === 0;
        if (!isEmpty) controller.enqueue(encoder.encode(`${current.events.join('\n')}\n`));
        if (!current.more) {
          controller.close();
          return;
        }
        const next = await search(broker, { ...first, after: current.next });
        if (!next.ok) {
          logEvent('log_export_broken_off', { code: next.code });
          controller.error(new Error(next.code));
          return;
        }
        current = next;
      }
    },
  });
}

type LogSearchFound = Extract<Awaited<ReturnType<typeof search>>, { readonly ok: true }>;

/** `GET /v1/admin/log?…`: a page, or with `format=ndjson` everything that fits. */
export const getLog = forAdmin('log.read', async (broker, context) => {
  const query = readQuery(context.request);
  const asked = query.ok ? searchOf(query.value) : query;
  if (!asked.ok) return context.refuse({ ...asked, code: 'field_invalid' });
  const found = await search(broker, asked.search);
  if (!found.ok) return context.refuse({ code: found.code });
  if (query.ok && query.value.format === 'ndjson') {
    return new Response(streamLines(broker, asked.search, found), {
      headers: { 'Content-Type': 'application/x-ndjson' },
    });
  }
  // Events are kept as the JSON that they leave as.
  const next = JSON.stringify(encodeLogCursor(found.next));
  return new Response(
    `{"events":[${found.events.join(',')}],"next":${next},"more":${found.more}}`,
    {
      headers: { 'Content-Type': 'application/json' },
    },
  );
});

/** `GET /v1/admin/organization/events?after=…&limit=…`: what administrators did, as its chain has it. */
export const getOrganizationEvents = forAdmin('log.read', async (broker, context) => {
  const query = new URL(context.request.url).searchParams;
  const after = readWhole(query.get('after') ?? '0', 0, Number.MAX_SAFE_INTEGER);
  if (after === undefined) return context.refuse({ code: 'field_invalid', field: 'after' });
  const limit = readWhole(query.get('limit') ?? String(defaultLogPage), 1, maxLogPage);
  if (limit === undefined) return context.refuse({ code: 'field_invalid', field: 'limit' });
  const answer = await askObject(() => broker.organization().adminEvents(after, limit));
  if (!answer.ok) return context.refuse({ code: answer.code });
  const { rows, head } = answer;
  return Response.json({
    events: rows.map(({ sequence, record, hash }) => ({
      sequence,
      record,
      hash: encodeBase64url(new Uint8Array(hash)),
    })),
    head: { count: head.count, hash: encodeBase64url(head.hash) },
  });
});

async function describeSettings(broker: Broker, context: AdminContext): Promise<Response> {
  const answer = await askObject(() => broker.report().retentionDays());
  return answer.ok
    ? Response.json({ retention_days: answer.days })
    : context.refuse({ code: answer.code });
}

/** `GET /v1/admin/log/settings`. */
export const getLogSettings = forAdmin('log.read', describeSettings);

/** `PUT /v1/admin/log/settings`. */
export const putLogSettings = forAdmin(
  { permission: 'log.stream', event: 'admin.log_settings.change' },
  async (broker, context) => {
    const body = await readBody(context.request, logSettings);
    if (!body.ok) return context.refuse(body.problem);
    const { retention_days } = body.value;
    const changed = await askObject(() => broker.report().setRetentionDays(retention_days));
    if (!changed.ok) return context.refuse({ code: changed.code });
    return await describeSettings(broker, context);
  },
);

/** `POST /v1/admin/log/rebuild`: every chain's owner brings all of its rows again; what is there stays as it is. */
export const postLogRebuild = forAdmin(
  { permission: 'log.stream', event: 'admin.log.rebuild' },
  async (broker, context) => {
    const forgotten = await askObject(() => broker.report().forgetChains());
    if (!forgotten.ok) return context.refuse({ code: forgotten.code });
    const shards = Array.from({ length: broker.shardCount }, (_, shard) => shard);
    const restarted = await Promise.all([
      askObject(() => broker.organization().restartDrain()),
      ...shards.map((shard) => askObject(() => deviceShard(broker, shard).restartDrain())),
    ]);
    const failed = restarted.find(({ ok }) => !ok);
    if (failed !== undefined) return context.refuse({ code: 'storage_unavailable' });
    return Response.json({ status: 'pending', chains: restarted.length }, { status: 202 });
  },
);

/** `GET /v1/admin/checkpoints`: made now, of everything that has come together by now. */
export const getCheckpoints = forAdmin('log.read', async (broker, context) => {
  const answer = await askObject(() => broker.report().checkpoints());
  if (!answer.ok) return context.refuse({ code: answer.code });
  return Response.json(answer.signed);
});
