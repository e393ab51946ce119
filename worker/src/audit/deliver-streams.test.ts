import { createHmac } from 'node:crypto';
import { logDelivery } from '@countersign/protocol/system-log';
import { describe, expect, it } from 'vitest';
import { fakeSqlStorage } from '../testing/fake-sql-storage.ts';
import { fakeStore } from '../testing/fake-store.ts';
import { noCheckpoints } from './checkpoints.ts';
import {
  checkpointEveryMs,
  deliverStreams,
  nextDeliveryMs,
  pauseAfterMs,
  retryAfterMs,
} from './deliver-streams.ts';
import { reportMigrations } from './report-schema.ts';
import type { Delivery, DeliveryOutcome } from './send-delivery.ts';
import { describeStream, findStream, insertStream, resumeStream } from './stream-records.ts';

const startMs = Date.UTC(2026, 10, 22);

function world() {
  const sql = fakeSqlStorage(reportMigrations);
  const sent: Delivery[] = [];
  const paused: string[] = [];
  const answers: DeliveryOutcome[] = [];
  const state = { nowMs: startMs, events: 0 };
  const append = (count: number, event = '{}') => {
    for (let added = 0; added < count; added++) {
      state.events += 1;
      sql.exec(
        `INSERT INTO events (chain, sequence, published_at_ms, event_type, outcome, reason, user_id,
           device_id, integration_id, application, serial_number, event)
         VALUES ('0', ?, ?, 'a', 'SUCCESS', '', '', '', '', '', '', ?)`,
        state.events,
        state.nowMs,
        event === '{}' ? `{"n":${state.events}}` : event,
      );
    }
    sql.exec(
      `INSERT INTO chains (chain, sequence, hash) VALUES ('0', ?, ?)
       ON CONFLICT (chain) DO UPDATE SET sequence = excluded.sequence`,
      state.events,
      new Uint8Array(32),
    );
  };
  insertStream(
    sql,
    {
      stream_id: 's',
      name: 'siem',
      url: 'https://siem.example.com/in',
      sealed_secret: 'x',
      from: 'beginning',
    },
    startMs,
  );
  const round = () =>
    deliverStreams({
      store: fakeStore(sql),
      now: () => state.nowMs,
      signCheckpoints: async (chains) =>
        chains.length === 0
          ? noCheckpoints
          : { checkpoints: [`a.${chains[0]?.count}.c`], keys: [] },
      openSecret: async () => 'secret',
      send: async (delivery) => {
        sent.push(delivery);
        return answers.shift() ?? { ok: true };
      },
      onPaused: async ({ stream_id }) => {
        paused.push(stream_id);
      },
    });
  const bodies = () =>
    sent.map(({ body }) => {
      const { events, checkpoints }: { events: { n: number }[]; checkpoints: string[] } =
        JSON.parse(body);
      return { events: events.map(({ n }) => n), checkpoints };
    });
  const stream = () => {
    const row = findStream(sql, 's');
    if (row === undefined) throw new Error('there is no stream');
    return row;
  };
  return { sql, sent, paused, answers, state, append, round, bodies, stream };
}

const failed = { ok: false, detail: 'the receiver answers 500' } as const;
const range = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

describe('deliverStreams', () => {
  it('delivers in order, a hundred at once, with a checkpoint of what has come by then', async () => {
    const { append, round, bodies, stream, sql } = world();
    append(250);
    await round();
    expect(bodies()).toEqual([
      { events: range(1, 100), checkpoints: ['a.250.c'] },
      { events: range(101, 200), checkpoints: [] },
      { events: range(201, 250), checkpoints: [] },
    ]);
    expect(stream()).toMatchObject({ delivered_through: 250, checkpoint_through: 250 });
    expect(nextDeliveryMs(sql)).toBeUndefined();
  });

  it('says with a body of the form that receivers read', async () => {
    const { append, round, sent } = world();
    append(1);
    await round();
    const [body] = sent.map((delivery) => JSON.parse(delivery.body));
    expect(logDelivery.parse({ ...body, events: [] })).toMatchObject({ stream_id: 's' });
  });

  it('keeps a delivery small', async () => {
    const { append, round, sent } = world();
    append(3, JSON.stringify({ n: 'x'.repeat(400_000) }));
    await round();
    expect(sent.map(({ body }) => JSON.parse(body).events.length)).toEqual([1, 1, 1]);
  });

  it('covers what has come since with a checkpoint, when it is time, also without events', async () => {
    const { append, round, bodies, state, sql } = world();
    append(1);
    await round();
    append(1);
    await round();
    const due = nextDeliveryMs(sql);
    expect(due).toBe(startMs + checkpointEveryMs);
    state.nowMs = due ?? 0;
    await round();
    await round();
    expect(bodies()).toEqual([
      { events: [1], checkpoints: ['a.1.c'] },
      { events: [2], checkpoints: [] },
      { events: [], checkpoints: ['a.2.c'] },
    ]);
    expect(nextDeliveryMs(sql)).toBeUndefined();
  });

  it('sends again what failed, ever less often, and loses nothing', async () => {
    const { append, round, bodies, answers, state, stream, sql } = world();
    append(2);
    answers.push(failed, failed);
    await round();
    await round();
    expect(bodies()).toHaveLength(1);
    state.nowMs += retryAfterMs(1);
    await round();
    append(1);
    expect(describeStream(sql, 'g', stream())).toMatchObject({
      status: 'active',
      waiting_events: 3,
      failing: { attempts: 2, detail: failed.detail, since: '2026-11-22T00:00:00.000Z' },
    });
    state.nowMs += retryAfterMs(2) - 1;
    await round();
    expect(bodies()).toHaveLength(2);
    state.nowMs += 1;
    await round();
    expect(bodies().at(-1)?.events).toEqual([1, 2, 3]);
    expect(stream()).toMatchObject({ attempts: 0, failing_since_ms: null, failure: null });
    expect(describeStream(sql, 'g', stream())).not.toHaveProperty('failing');
  });

  it('pauses after a day, tells it once, and goes on from there when it is resumed', async () => {
    const { append, round, answers, state, stream, paused, sql, bodies } = world();
    append(2);
    answers.push(...Array.from({ length: 300 }, () => failed));
    for (let rounds = 0; rounds < 300 && stream().status === 'active'; rounds++) {
      await round();
      state.nowMs = stream().due_at_ms;
    }
    expect(state.nowMs - startMs).toBeGreaterThanOrEqual(pauseAfterMs);
    expect(stream().status).toBe('paused');
    expect(paused).toEqual(['s']);
    expect(nextDeliveryMs(sql)).toBeUndefined();
    const tries = bodies().length;
    append(1);
    await round();
    expect(bodies()).toHaveLength(tries);
    answers.length = 0;
    resumeStream(sql, 's', state.nowMs);
    await round();
    expect(bodies().at(-1)?.events).toEqual([1, 2, 3]);
  });

  it('does not let one stream wait for the receiver of another', async () => {
    const { append, sql, state } = world();
    insertStream(
      sql,
      {
        stream_id: 't',
        name: 't',
        url: 'https://t.example.com/',
        sealed_secret: 'x',
        from: 'beginning',
      },
      startMs,
    );
    append(1);
    const { promise, resolve } = Promise.withResolvers<DeliveryOutcome>();
    const seen: string[] = [];
    const done = deliverStreams({
      store: fakeStore(sql),
      now: () => state.nowMs,
      signCheckpoints: async () => noCheckpoints,
      openSecret: async () => 'secret',
      send: async ({ url }) => {
        seen.push(url);
        return url.includes('siem') ? await promise : { ok: true };
      },
      onPaused: async () => undefined,
    });
    await new Promise((turn) => setTimeout(turn, 5));
    expect(findStream(sql, 't')?.delivered_through).toBe(1);
    expect(findStream(sql, 's')?.delivered_through).toBe(0);
    resolve({ ok: true });
    await done;
    expect(findStream(sql, 's')?.delivered_through).toBe(1);
    expect(seen).toHaveLength(2);
  });

  it('ends a round early where a receiver takes its time', async () => {
    const { append, sql, state } = world();
    append(1000);
    let deliveries = 0;
    await deliverStreams({
      store: fakeStore(sql),
      now: () => state.nowMs,
      signCheckpoints: async () => noCheckpoints,
      openSecret: async () => 'secret',
      send: async () => {
        deliveries += 1;
        state.nowMs += 4_000;
        return { ok: true };
      },
      onPaused: async () => undefined,
    });
    expect(deliveries).toBe(3);
    expect(findStream(sql, 's')?.delivered_through).toBe(300);
    expect(nextDeliveryMs(sql)).toBeLessThanOrEqual(state.nowMs);
  });

  it('starts a new stream with what comes from then on, unless it is told otherwise', async () => {
    const { append, sql, round, sent } = world();
    append(3);
    insertStream(
      sql,
      { stream_id: 'n', name: 'n', url: 'https://n.example.com/', sealed_secret: 'x', from: 'now' },
      startMs + 1,
    );
    sql.exec(`DELETE FROM log_streams WHERE stream_id = 's'`);
    sql.exec('UPDATE log_streams SET due_at_ms = 0');
    append(1);
    await round();
    expect(JSON.parse(sent[0]?.body ?? '').events).toEqual([{ n: 4 }]);
  });
});

describe('the signature of a delivery', () => {
  it('is what any receiver computes over time and body', async () => {
    const { signDelivery } = await import('./send-delivery.ts');
    const expected = createHmac('sha256', 'csls_secret').update('1700000000.{"a":1}').digest('hex');
    expect(await signDelivery('csls_secret', 1_700_000_000, '{"a":1}')).toBe(`v1=${expected}`);
  });
});
