// The system log over HTTP: what a broker records is found, exported and verified, after crashes, too.
import { setTimeout as sleep } from 'node:timers/promises';
import { describeFinding, verifyAudit } from '@countersign/admin-cli/verify-audit';
import { type LogEvent, logEvent, logPage } from '@countersign/protocol/system-log';
import type { TestClient } from '@countersign/testkit/broker-client';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  checkpointsOf,
  exportChains,
  getAs,
  type HeldChain,
  searchLog,
  untilDrained,
} from '../support/exported-log.ts';
import { enrollDevice } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
let client: TestClient;
let device: FakeDevice;
let events: LogEvent[];

beforeAll(async () => {
  broker = await TestBroker.start();
  client = await broker.client.registerClient();
  device = await enrollDevice(broker);
  await broker.client.signIn(client, device, 'alice');
  await broker.client.signIn(client, device, 'mallory');
  events = await untilDrained(broker.client, broker.shardCount);
});
afterAll(() => broker?.stopAndRemove());

const typesOf = (found: readonly LogEvent[]) => found.map(({ eventType }) => eventType);

describe('the system log', () => {
  it('has sign-ins as authentications via certificate, with the device in their debug data', () => {
    const signIns = events.filter(
      ({ eventType }) => eventType === 'user.authentication.authenticate',
    );
    expect(signIns.map(({ user, outcome }) => [user, outcome.result])).toEqual([
      ['alice', 'SUCCESS'],
      ['mallory', 'FAILURE'],
    ]);
    for (const event of signIns) {
      expect(event.displayMessage).toBe('Authentication of device via certificate');
      expect(event.debugContext.debugData.device_id).toBe(device.deviceId);
    }
  });

  it('has the enrollment and the certificate, and what the administrator did before', () => {
    const types = typesOf(events);
    expect(types).toContain('user.credential.enroll');
    expect(types).toContain('pki.cert.issue');
    expect(types.some((type) => type.startsWith('admin.'))).toBe(true);
    expect(new Set(events.map(({ uuid }) => uuid)).size).toBe(events.length);
  });

  it('finds by device, user, type, outcome, application and serial number', async () => {
    const find = async (query: Record<string, string>) =>
      typesOf(await searchLog(broker.client, query)).toSorted();
    const serial = events.find(({ eventType }) => eventType === 'pki.cert.issue')?.certificate;
    const ofDevice = await find({ device_id: device.deviceId ?? '' });
    expect(ofDevice).toEqual([
      'pki.cert.issue',
      'user.authentication.authenticate',
      'user.authentication.authenticate',
      'user.credential.enroll',
    ]);
    expect(await find({ user: 'alice' })).toEqual(['user.authentication.authenticate']);
    expect(await find({ event_type: 'pki.*' })).toEqual(['pki.cert.issue']);
    expect(await find({ outcome: 'FAILURE', application: client.application })).toEqual([
      'user.authentication.authenticate',
    ]);
    expect(await find({ serial_number: serial?.serialNumber ?? '' })).toEqual(
      expect.arrayContaining(['pki.cert.issue', 'user.authentication.authenticate']),
    );
    expect(await find({ since: new Date(Date.now() + 60_000).toISOString() })).toEqual([]);
  });

  it('exports as JSON lines exactly what its pages have', async () => {
    const response = await broker.client.admin('GET', '/v1/admin/log?format=ndjson');
    expect(response.headers.get('Content-Type')).toBe('application/x-ndjson');
    const lines = (await response.text()).trimEnd().split('\n');
    expect(lines.map((line) => logEvent.parse(JSON.parse(line)))).toEqual(events);
    expect(await searchLog(broker.client, { limit: '3' })).toEqual(events);
  });

  it.each([
    ['limit=0', 'limit'],
    ['limit=1001', 'limit'],
    ['order=random', 'order'],
    ['since=yesterday', 'since'],
    ['outcome=ok', 'outcome'],
    ['after=nonsense', 'after'],
    ['colour=red', 'colour'],
    ['user=a&user=b', 'user'],
    ['serial_number=xyz', 'serial_number'],
    ['format=csv', 'format'],
    ['event_type=pki.cert*', 'event_type'],
    ['event_type=*', 'event_type'],
    ['event_type=*.cert.*', 'event_type'],
  ])('refuses ?%s, naming %s', async (query, field) => {
    const response = await broker.client.admin('GET', `/v1/admin/log?${query}`);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: 'field_invalid', field });
  });

  it('is for administrators alone', async () => {
    for (const path of ['/v1/admin/log', '/v1/admin/log-streams', '/v1/admin/checkpoints']) {
      expect((await broker.client.request(path)).status).toBe(401);
    }
  });

  it('keeps for as long as it is told', async () => {
    const settings = await broker.client.admin('PUT', '/v1/admin/log/settings', {
      retention_days: 30,
    });
    expect(await settings.json()).toEqual({ retention_days: 30 });
    const wrong = await broker.client.admin('PUT', '/v1/admin/log/settings', { retention_days: 0 });
    expect(wrong.status).toBe(400);
  });

  it('comes together again, each event once and in its place, when it is asked to', async () => {
    const before = await untilDrained(broker.client, broker.shardCount);
    const cursor = (await getAs(broker.client, '/v1/admin/log?limit=2', logPage)).next;
    const response = await broker.client.admin('POST', '/v1/admin/log/rebuild');
    expect(response.status).toBe(202);
    await sleep(500);
    const after = await untilDrained(broker.client, broker.shardCount);
    expect(after.slice(0, before.length)).toEqual(before);
    expect((await searchLog(broker.client, { after: cursor }))[0]).toEqual(before[2]);
  });
});

describe('the audit of an export', () => {
  const audit = async (chains: readonly HeldChain[]) => {
    const { checkpoints, keys } = await checkpointsOf(broker.client);
    return await verifyAudit({ chains, checkpoints, keys, issuer: broker.url });
  };

  it('finds nothing, and every row covered', async () => {
    await untilDrained(broker.client, broker.shardCount);
    const report = await audit(await exportChains(broker.client, broker.shardCount));
    expect(report.findings.map(describeFinding)).toEqual([]);
    for (const { rows, coveredThrough } of report.chains) expect(coveredThrough).toBe(rows);
    const jwks = await (await broker.client.request('/.well-known/jwks.json')).json();
    const { keys } = await checkpointsOf(broker.client);
    expect(JSON.stringify(jwks)).toContain(keys[0]?.kid);
  });

  it('#64 finds each row that was changed, taken out, or cut off', async () => {
    const chains = await exportChains(broker.client, broker.shardCount);
    const tampered = async (name: string, rows: HeldChain['rows']) => {
      const changed = chains.map((chain) => (chain.name === name ? { ...chain, rows } : chain));
      return (await audit(changed)).findings;
    };
    let rowsTried = 0;
    for (const { name, rows } of chains) {
      for (const { sequence } of rows) {
        const changed = rows.map((row) =>
          row.sequence === sequence
            ? { ...row, record: row.record.replace('"v":1', '"v":2') }
            : row,
        );
        const one = { chain: name, sequence };
        expect(await tampered(name, changed)).toEqual([{ kind: 'row_changed', ...one }]);
        const without = rows.filter((row) => row.sequence !== sequence);
        expect(await tampered(name, without)).toMatchObject([
          { chain: name, first: sequence, last: sequence },
        ]);
        const cut = rows.slice(0, sequence - 1);
        expect(await tampered(name, cut)).toEqual([
          { kind: 'rows_cut_off', chain: name, first: sequence, last: rows.length },
        ]);
        rowsTried += 1;
      }
    }
    expect(rowsTried).toBeGreaterThan(6);
  });
});

it('has each event once after workerd was killed while it came together', async () => {
  for (let round = 0; round < 3; round++) {
    const attempts = Array.from({ length: 8 }, () =>
      broker.client.signIn(client, device, 'alice').catch(() => undefined),
    );
    await Promise.all(attempts);
    await broker.client.admin('POST', '/v1/admin/log/rebuild');
    await sleep(5 + 40 * round);
    const pid = broker.server.workerdPid();
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
    const deadline = performance.now() + 20_000;
    while ((await broker.client.request('/healthz').catch(() => undefined))?.status !== 200) {
      if (performance.now() > deadline) throw new Error('the broker did not come back');
      await sleep(100);
    }
  }
  const all = await untilDrained(broker.client, broker.shardCount);
  expect(new Set(all.map(({ uuid }) => uuid)).size).toBe(all.length);
  const rows = (await exportChains(broker.client, broker.shardCount)).flatMap(
    (chain) => chain.rows,
  );
  expect(new Set(all.map(({ uuid }) => uuid))).toEqual(new Set(rows.map(({ hash }) => hash)));
});
