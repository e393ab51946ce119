import { logEvent } from '@countersign/protocol/system-log';
import { describe, expect, it } from 'vitest';
import { deviceMigrations } from '../device/device-schema.ts';
import { fakeSqlStorage } from '../testing/fake-sql-storage.ts';
import { fakeStore } from '../testing/fake-store.ts';
import { appendEvent } from './append-event.ts';
import { drainLog, restartDrain } from './drain-log.ts';
import { type ChainHead, emptyChain } from './hash-chain.ts';
import { reportMigrations } from './report-schema.ts';
import { keepFromMs, removeOldEvents, writeRetentionDays } from './report-settings.ts';
import type { SystemLogEvent } from './system-log-event.ts';
import { forgetChains, type RowBatch, takeInRows } from './take-in-rows.ts';

const startMs = Date.UTC(2026, 10, 22);
const dayMs = 86_400_000;

const issued = (number: number): SystemLogEvent => ({
  event_type: 'pki.cert.issue',
  outcome: 'SUCCESS',
  actor: { type: 'device' },
  certificate: { serial_number: `0${number}`, issuer_id: 'i', fingerprint_sha256: `F${number}` },
  debug_data: { device_id: `dev_${number}` },
});

/** A shard with so many events, a report, and what goes between them. */
function world(count: number) {
  const shard = fakeSqlStorage(deviceMigrations);
  const report = fakeSqlStorage(reportMigrations);
  let head: ChainHead = emptyChain;
  let nowMs = startMs;
  const append = (number: number) => {
    const context = { shard: 3, nowMs, randomId: () => `id-${number}-${nowMs}` };
    head = appendEvent(shard, head, issued(number), context);
  };
  for (let number = 1; number <= count; number++) append(number);
  const batches: RowBatch[] = [];
  const takeIn = async (batch: RowBatch) => {
    batches.push(batch);
    const taken = takeInRows(report, batch, nowMs, keepFromMs(report, nowMs));
    return { ok: true, ...taken } as const;
  };
  return {
    shard,
    report,
    batches,
    append,
    takeIn,
    setNow: (ms: number) => {
      nowMs = ms;
    },
    drain: () => drainLog(fakeStore(shard), takeIn),
    restart: () => {
      head = emptyChain;
    },
    sequences: () =>
      report
        .exec<{ sequence: number }>('SELECT sequence FROM events ORDER BY event_number')
        .toArray()
        .map(({ sequence }) => sequence),
    chain: () => report.exec('SELECT chain, sequence, broken_at FROM chains').toArray(),
  };
}

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

describe('drainLog', () => {
  it('brings every row once, in their order, in more than one batch', async () => {
    const { drain, sequences, batches, append, chain } = world(1201);
    expect(await drain()).toBe('drained');
    expect(batches.map(({ rows }) => rows.length)).toEqual([500, 500, 201]);
    append(1202);
    expect(await drain()).toBe('drained');
    expect(await drain()).toBe('drained');
    expect(batches).toHaveLength(4);
    expect(sequences()).toEqual(numbers(1202));
    expect(chain()).toEqual([{ chain: '3', sequence: 1202, broken_at: null }]);
  });

  it('keeps events in the form in which they leave', async () => {
    const { drain, report } = world(1);
    await drain();
    const { event } = report.exec<{ event: string }>('SELECT event FROM events').one();
    expect(logEvent.parse(JSON.parse(event))).toMatchObject({
      published: '2026-11-22T00:00:00.000Z',
      eventType: 'pki.cert.issue',
      displayMessage: 'Device Trust certificate issuance',
      certificate: { serialNumber: '01', fingerprintSha256: 'F1' },
      debugContext: { debugData: { device_id: 'dev_1' } },
      record: { chain: '3', sequence: 1 },
    });
  });

  it('takes in once what a crash before the cursor has brought twice', async () => {
    const { drain, sequences, shard } = world(7);
    await drain();
    shard.exec(`UPDATE outbox_cursors SET sequence = 4 WHERE name = 'report'`);
    expect(await drain()).toBe('drained');
    expect(sequences()).toEqual(numbers(7));
    expect(shard.exec('SELECT name, sequence FROM outbox_cursors').toArray()).toEqual([
      { name: 'report', sequence: 7 },
    ]);
  });

  it('goes back to where the report is behind', async () => {
    const { drain, sequences, append, report } = world(3);
    await drain();
    report.exec('DELETE FROM events');
    report.exec('DELETE FROM chains');
    append(4);
    expect(await drain()).toBe('drained');
    expect(sequences()).toEqual(numbers(4));
  });

  it('brings all again on request, and keeps the number of what was there', async () => {
    const { drain, report, shard } = world(5);
    await drain();
    report.exec('DELETE FROM events WHERE sequence = 2');
    forgetChains(report);
    restartDrain(shard);
    expect(await drain()).toBe('drained');
    expect(
      report.exec('SELECT event_number, sequence FROM events ORDER BY event_number').toArray(),
    ).toEqual(
      [1, 3, 4, 5, 2].map((sequence, index) => ({
        event_number: [1, 3, 4, 5, 6][index],
        sequence,
      })),
    );
  });

  it('brings what imports archived under its own name, before what is being written', async () => {
    const { drain, shard, report, batches } = world(2);
    shard.exec(
      'INSERT INTO archived_chains (chain_id, count, hash) VALUES (?, 2, ?)',
      'x.1',
      new Uint8Array(32),
    );
    shard.exec(
      'INSERT INTO archived_decisions SELECT ?, sequence, record, hash FROM decisions',
      'x.1',
    );
    expect(await drain()).toBe('drained');
    expect(await drain()).toBe('drained');
    expect(batches).toHaveLength(2);
    expect(
      report.exec('SELECT chain, sequence FROM events ORDER BY event_number').toArray(),
    ).toEqual([
      { chain: 'x.1', sequence: 1 },
      { chain: 'x.1', sequence: 2 },
      { chain: '3', sequence: 1 },
      { chain: '3', sequence: 2 },
    ]);
  });

  it('says so when the report fails, and leaves the cursor', async () => {
    const { shard, drain, sequences } = world(2);
    const failing = async () => Promise.reject(new Error('gone'));
    expect(await drainLog(fakeStore(shard), failing)).toBe('failed');
    expect(await drain()).toBe('drained');
    expect(sequences()).toEqual([1, 2]);
  });
});

describe('takeInRows', () => {
  it('notices a row that was changed before it came, and takes it in all the same', async () => {
    const { drain, shard, chain, sequences } = world(3);
    shard.exec(
      `UPDATE decisions SET record = replace(record, 'dev_2', 'dev_x') WHERE sequence = 2`,
    );
    expect(await drain()).toBe('drained');
    expect(chain()).toEqual([{ chain: '3', sequence: 3, broken_at: 2 }]);
    expect(sequences()).toEqual([1, 2, 3]);
  });

  it('keeps what a shard no longer has when an older copy of it goes on differently', async () => {
    const { drain, shard, append, restart, report } = world(3);
    await drain();
    shard.exec('DELETE FROM decisions');
    shard.exec(`UPDATE outbox_cursors SET sequence = 0`);
    restart();
    for (const number of [7, 8, 9, 10]) append(number);
    expect(await drain()).toBe('drained');
    const devices = report
      .exec('SELECT chain, device_id FROM events ORDER BY event_number')
      .toArray();
    expect(devices.map(({ device_id }) => device_id)).toEqual([
      'dev_1',
      'dev_2',
      'dev_3',
      'dev_7',
      'dev_8',
      'dev_9',
      'dev_10',
    ]);
    expect(new Set(devices.map(({ chain }) => chain)).size).toBe(2);
  });

  it('notices an older copy that has fewer rows than are known, and takes its rows in', async () => {
    const { drain, shard, append, restart, sequences } = world(5);
    await drain();
    shard.exec('DELETE FROM decisions');
    shard.exec('UPDATE outbox_cursors SET sequence = 0');
    restart();
    append(8);
    append(9);
    expect(await drain()).toBe('drained');
    expect(sequences()).toEqual([1, 2, 3, 4, 5, 1, 2]);
    expect(shard.exec('SELECT sequence FROM outbox_cursors').toArray()).toEqual([{ sequence: 2 }]);
  });

  it('has a row that cannot be read searchable, too', async () => {
    const { report, takeIn } = world(0);
    const row = { sequence: 1, record: '{', hash: new Uint8Array(32) };
    await takeIn({ chain: '0', start: undefined, after: 0, rows: [row] });
    expect(report.exec('SELECT event_type, reason FROM events').toArray()).toEqual([
      { event_type: 'log.record.unreadable', reason: 'record_unreadable' },
    ]);
  });
});

describe('retention', () => {
  it('removes what is too old, but not the newest event, nor what a stream waits for', async () => {
    const { drain, report, sequences, append, setNow } = world(3);
    await drain();
    setNow(startMs + 10 * dayMs);
    append(4);
    await drain();
    writeRetentionDays(report, 5);
    report.exec(
      `INSERT INTO log_streams (stream_id, name, url, sealed_secret, status, created_at_ms,
         delivered_through, checkpoint_through, checkpoint_at_ms, attempts, due_at_ms)
       VALUES ('s', 's', 'u', 'x', 'active', 0, 2, 0, 0, 0, 0)`,
    );
    expect(removeOldEvents(report, startMs + 10 * dayMs)).toBe(false);
    expect(sequences()).toEqual([3, 4]);
    report.exec(`UPDATE log_streams SET status = 'paused'`);
    removeOldEvents(report, startMs + 100 * dayMs);
    expect(sequences()).toEqual([4]);
  });

  it('counts what is too old already when it comes', async () => {
    const { drain, sequences, chain, setNow } = world(3);
    setNow(startMs + 500 * dayMs);
    await drain();
    expect(sequences()).toEqual([]);
    expect(chain()).toEqual([{ chain: '3', sequence: 3, broken_at: null }]);
  });
});
