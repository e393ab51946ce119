// Where the system log goes: to webhooks, whatever their receivers do, and to rsyslog, each event at least once.
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verifyAudit } from '@countersign/admin-cli/verify-audit';
import {
  type LogDelivery,
  type LogEvent,
  logDelivery,
  logEvent,
  logStreamCreated,
  logStreams,
  logStreamTest,
} from '@countersign/protocol/system-log';
import { startManagementServer } from '@countersign/testkit/fake-management-server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { exportChains, getAs, searchLog, untilDrained } from '../support/exported-log.ts';
import { findFreePort } from '../support/free-port.ts';
import { type RunningRsyslog, startRsyslog } from '../support/rsyslog.ts';
import { TestBroker } from '../support/test-broker.ts';

type Receiver = Awaited<ReturnType<typeof startManagementServer>>;

let folder: string;
let receiver: Receiver;
let rsyslog: RunningRsyslog;
let broker: TestBroker;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-streams-'));
  receiver = await startManagementServer(() => ({ status: 200 }));
  const authoritiesFile = join(folder, 'ca.pem');
  writeFileSync(authoritiesFile, receiver.certificatePem);
  rsyslog = await startRsyslog(await findFreePort());
  broker = await TestBroker.start({
    outbound: { allow: ['127.0.0.0/8'], authoritiesFile },
    syslog: {
      receiver: `localhost:${rsyslog.port}`,
      authoritiesFile: rsyslog.authoritiesFile,
    },
  });
});
afterAll(async () => {
  await broker?.stopAndRemove();
  await rsyslog?.stop();
  await receiver?.stop();
  rmSync(folder, { recursive: true });
});

const admin = (method: string, path: string, body?: unknown) =>
  broker.client.admin(method, path, body);
const create = async (url: string, from: 'now' | 'beginning' = 'beginning') =>
  await admin('POST', '/v1/admin/log-streams', { name: 'siem', url, from });

/** Deliveries that came to a path, with what proves where they are from. */
function deliveriesTo(path: string, secret: string): LogDelivery[] {
  return receiver.requests
    .filter((request) => request.path === path)
    .map(({ headers, body }) => {
      const time = headers['countersign-timestamp'];
      const mac = createHmac('sha256', secret).update(`${time}.${body}`).digest('hex');
      expect(headers['countersign-signature']).toBe(`v1=${mac}`);
      return logDelivery.parse(JSON.parse(body));
    });
}

const newApplication = () => broker.client.registerClient();
const patience = { timeout: 20_000, interval: 100 };

describe('a stream to a webhook', () => {
  it('brings every event, signed, with checkpoints that the receiver can verify', async () => {
    await newApplication();
    const { stream, secret } = logStreamCreated.parse(
      await (await create(`${receiver.url}/all`)).json(),
    );
    expect(stream).toMatchObject({ status: 'active', url: `${receiver.url}/all` });
    await untilDrained(broker.client, broker.shardCount);
    const uuids = () =>
      deliveriesTo('/all', secret).flatMap(({ events }) => events.map(({ uuid }) => uuid));
    const all = await searchLog(broker.client);
    await expect.poll(() => uuids().length, patience).toBeGreaterThanOrEqual(all.length);
    expect(uuids().slice(0, all.length)).toEqual(all.map(({ uuid }) => uuid));
    const { checkpoints = [], keys = [] } =
      deliveriesTo('/all', secret).find((delivery) => delivery.checkpoints.length > 0) ?? {};
    const chains = await exportChains(broker.client, broker.shardCount);
    const report = await verifyAudit({ chains, checkpoints, keys, issuer: broker.url });
    expect(report).toMatchObject({ ok: true, checkpoints: { verified: checkpoints.length } });
    expect(checkpoints.length).toBeGreaterThan(0);
    const listed = await getAs(broker.client, '/v1/admin/log-streams', logStreams);
    expect(listed.streams[0]).not.toHaveProperty('secret');
    expect(JSON.stringify(listed)).not.toContain(secret);
    const created = all.filter(({ eventType }) => eventType === 'admin.log_stream.create');
    expect(created).toMatchObject([
      { debugContext: { debugData: { stream_id: stream.stream_id, url: `${receiver.url}/all` } } },
    ]);
    expect(JSON.stringify(created)).not.toContain(secret);
  });

  it.each([
    [{ kind: 'failing' }, /answers 50/],
    [{ kind: 'unauthorized' }, /answers 401/],
    [{ kind: 'redirect', location: 'https://localhost:1/elsewhere' }, /redirects .*not followed/],
    [{ kind: 'outage' }, /cannot be reached/],
  ] as const)('waits for a receiver that does %o, and tells why', async (fault, why) => {
    const path = `/fault-${fault.kind}`;
    const created = logStreamCreated.parse(
      await (await create(`${receiver.url}${path}`, 'now')).json(),
    );
    const { stream_id } = created.stream;
    receiver.setFault(fault, path);
    await newApplication();
    const streamNow = async () =>
      (await getAs(broker.client, '/v1/admin/log-streams', logStreams)).streams.find(
        (each) => each.stream_id === stream_id,
      );
    await expect.poll(async () => (await streamNow())?.failing?.detail, patience).toMatch(why);
    const test = await admin('POST', `/v1/admin/log-streams/${stream_id}/test`);
    expect(logStreamTest.parse(await test.json())).toMatchObject({ delivered: false });
    receiver.setFault(undefined);
    await admin('POST', `/v1/admin/log-streams/${stream_id}/resume`);
    await expect.poll(async () => (await streamNow())?.failing, patience).toBeUndefined();
    await expect
      .poll(
        () => deliveriesTo(path, created.secret).flatMap(({ events }) => events).length,
        patience,
      )
      .toBeGreaterThan(0);
    expect((await admin('DELETE', `/v1/admin/log-streams/${stream_id}`)).status).toBe(200);
    expect(await streamNow()).toBeUndefined();
  });

  it.each([
    'http://siem.example.com/in',
    'https://10.1.2.3/in',
    'https://169.254.169.254/latest/meta-data',
    'https://user:password@siem.example.com/in',
    'file:///etc/passwd',
    'siem.example.com',
  ])('#62 is not made to %s', async (url) => {
    const response = await create(url);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: 'field_invalid', field: 'url' });
  });

  it('is not there under another id', async () => {
    for (const [method, path] of [
      ['DELETE', '/v1/admin/log-streams/log_x'],
      ['POST', '/v1/admin/log-streams/log_x/test'],
      ['POST', '/v1/admin/log-streams/log_x/resume'],
    ] as const) {
      const response = await admin(method, path);
      expect([response.status, await response.json()]).toMatchObject([
        404,
        { code: 'log_stream_not_found' },
      ]);
    }
  });
});

const checkpointMessage = z.object({ checkpoint: z.string(), keys: logDelivery.shape.keys });
const jsonIn = (message: string): unknown => JSON.parse(message.slice(message.indexOf('{')));

function syslogEvents(): LogEvent[] {
  return rsyslog
    .messages()
    .filter((message) => !message.includes(' audit-checkpoint '))
    .map((message) => logEvent.parse(jsonIn(message)));
}

describe('rsyslog over TLS', () => {
  it('has every event with its type as the message id, and checkpoints that verify', async () => {
    const all = await untilDrained(broker.client, broker.shardCount);
    await expect.poll(() => syslogEvents().length, patience).toBeGreaterThanOrEqual(all.length);
    expect(new Set(syslogEvents().map(({ uuid }) => uuid))).toEqual(
      new Set(all.map(({ uuid }) => uuid)),
    );
    const first = rsyslog.messages().find((message) => !message.includes(' audit-checkpoint '));
    expect(first).toMatch(/^<1(08|10)>1 \S+Z 127\.0\.0\.1 countersign - admin\.\S+ - \{/);
    const messages = rsyslog.messages().filter((message) => message.includes(' audit-checkpoint '));
    const sets = messages.map((message) => checkpointMessage.parse(jsonIn(message)));
    const report = await verifyAudit({
      chains: await exportChains(broker.client, broker.shardCount),
      checkpoints: sets.map(({ checkpoint }) => checkpoint),
      keys: sets.flatMap(({ keys }) => keys),
      issuer: broker.url,
    });
    expect(report).toMatchObject({ ok: true, checkpoints: { verified: sets.length } });
    expect(sets.length).toBeGreaterThan(0);
  });

  it('gets what came while it was away, and while the server was', async () => {
    await rsyslog.kill();
    await newApplication();
    await expect.poll(() => broker.logLines.join('\n'), patience).toContain('syslog_failed');
    await newApplication();
    await rsyslog.startAgain();
    const all = await untilDrained(broker.client, broker.shardCount);
    const known = () => new Set(syslogEvents().map(({ uuid }) => uuid));
    await expect.poll(() => all.filter(({ uuid }) => !known().has(uuid)), patience).toEqual([]);
  });
});
