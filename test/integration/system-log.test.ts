import { env, runInDurableObject } from 'cloudflare:test';
import { logPage, logStreamCreated, logStreams } from '@countersign/protocol/system-log';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { pauseAfterMs } from '../../worker/src/audit/deliver-streams.ts';
import { ReportObject } from '../../worker/src/audit/report-object.ts';
import { takeInRows } from '../../worker/src/audit/take-in-rows.ts';
import { eventsAfter } from './test-administration.ts';
import { holdAlarms, ringAlarm } from './test-alarms.ts';
import { broker } from './test-broker.ts';
import { enrolledDevice } from './test-changes.ts';
import { countRowsWritten, shardCount, shardObject, shardOf } from './test-objects.ts';

// How rows come together in the one object of the system log, and what its alarm does.

const report = () => env.REPORT.get(env.REPORT.idFromName('report'));
const sqlInReport = (statement: string, ...bindings: SqlStorageValue[]) =>
  runInDurableObject(report(), (_, { storage }) =>
    storage.sql.exec(statement, ...bindings).toArray(),
  );

afterEach(() => {
  vi.restoreAllMocks();
});

const search = async (query: string) => {
  const response = await broker.admin('GET', `/v1/admin/log?${query}`);
  return logPage.parse(await response.json()).events;
};

let device: FakeDevice;
beforeAll(async () => {
  device = await enrolledDevice();
  const client = await broker.registerClient();
  await broker.signIn(client, device, 'ada');
});

describe('the shard of a device', () => {
  it('brings its rows when its alarm rings', async () => {
    const shard = shardOf(device.deviceId);
    await ringAlarm(shardObject(shard));
    expect(
      (await search(`device_id=${device.deviceId}`)).map(({ eventType }) => eventType),
    ).toEqual(
      expect.arrayContaining([
        'user.credential.enroll',
        'pki.cert.issue',
        'user.authentication.authenticate',
      ]),
    );
    const [chain] = await sqlInReport('SELECT * FROM chains WHERE chain = ?', String(shard));
    const { head } = await broker.decisions(shard);
    expect(chain).toMatchObject({ sequence: head.count, broken_at: null });
  });

  it('brings them again where the whole log was lost, once it is asked to', async () => {
    const before = await search('limit=1000');
    for (const table of ['events', 'chains', 'certificate_serials']) {
      await sqlInReport(`DELETE FROM ${table}`);
    }
    await broker.admin('POST', '/v1/admin/log/rebuild');
    for (let shard = 0; shard < shardCount; shard++) await ringAlarm(shardObject(shard));
    const missing = async () => {
      const uuids = new Set((await search('limit=1000')).map(({ uuid }) => uuid));
      return before.filter(({ uuid }) => !uuids.has(uuid));
    };
    expect(before.length).toBeGreaterThan(3);
    await expect.poll(missing, { timeout: 20_000 }).toEqual([]);
  });
});

it('costs five rows for a sign-in, and one for each batch', async () => {
  const { rows } = await broker.decisions(shardOf(device.deviceId));
  const decision = rows.find(({ record }) => record.includes('"subject":"ada"'));
  if (decision === undefined) throw new Error('there is no sign-in');
  const written = await runInDurableObject(report(), (_, { storage }) => {
    const { sql, rowsWritten } = countRowsWritten(storage.sql);
    const take = (chain: string, count: number) => {
      const taken = Array.from({ length: count }, (_row, index) => ({
        sequence: index + 1,
        record: decision.record,
        hash: new Uint8Array(32).fill(index),
      }));
      takeInRows(sql, { chain, start: undefined, after: 0, rows: taken }, 0, 0);
      return rowsWritten();
    };
    const counts = [take('cost-1', 1), take('cost-2', 2)];
    storage.sql.exec("DELETE FROM events WHERE chain LIKE 'cost-%'");
    storage.sql.exec("DELETE FROM chains WHERE chain LIKE 'cost-%'");
    return counts;
  });
  expect(written).toEqual([6, 11]);
});

describe('a stream whose receiver is gone', () => {
  it('is paused after a day, which is in the chain of the organization', async () => {
    holdAlarms(ReportObject);
    const response = await broker.admin('POST', '/v1/admin/log-streams', {
      name: 'gone',
      url: 'https://siem.gone.example/in',
      from: 'beginning',
    });
    const { stream, secret } = logStreamCreated.parse(await response.json());
    const [row] = await sqlInReport('SELECT sealed_secret FROM log_streams');
    expect(JSON.stringify(row)).not.toContain(secret);
    await sqlInReport('UPDATE log_streams SET failing_since_ms = ?', Date.now() - pauseAfterMs - 1);
    vi.spyOn(globalThis, 'fetch').mockRejectedValue(new Error('nobody is there'));
    await ringAlarm(report());
    const answer = await broker.admin('GET', '/v1/admin/log-streams');
    expect(logStreams.parse(await answer.json()).streams).toMatchObject([
      { stream_id: stream.stream_id, status: 'paused', failing: { attempts: 1 } },
    ]);
    expect((await eventsAfter(0)).at(-1)).toMatchObject({
      event_type: 'log.stream.pause',
      outcome: 'FAILURE',
      actor: { type: 'system' },
      debug_data: { stream_id: stream.stream_id },
    });
  });
});

it('refuses a cursor that another log gave', async () => {
  const response = await broker.admin('GET', '/v1/admin/log?limit=1');
  const { next } = logPage.parse(await response.json());
  await sqlInReport(`UPDATE settings SET value = 'another' WHERE name = 'generation'`);
  const refused = await broker.admin('GET', `/v1/admin/log?after=${next}`);
  expect([refused.status, await refused.json()]).toMatchObject([
    409,
    { code: 'log_cursor_unknown' },
  ]);
});
