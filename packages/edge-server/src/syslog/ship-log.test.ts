import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import type { LogEvent } from '@countersign/protocol/system-log';
import { afterEach, describe, expect, it } from 'vitest';
import { startSyslogReceiver } from '../testing/syslog-receiver.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { LogShipping, shipLog } from './ship-log.ts';
import { readSyslogReceiver } from './syslog-options.ts';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

const eventOf = (number: number): LogEvent => ({
  uuid: Buffer.alloc(32, number).toString('base64url'),
  published: new Date(1_700_000_000_000 + number).toISOString(),
  eventType: 'pki.cert.issue',
  displayMessage: 'Device Trust certificate issuance',
  severity: 'INFO',
  outcome: { result: 'SUCCESS' },
  actor: { type: 'device' },
  debugContext: { debugData: {} },
  record: { chain: '0', sequence: number },
});

/** A broker with so many events, whose cursors are their numbers. */
async function startBroker(directory: string) {
  const state = { count: 0, unknownCursors: false };
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://broker');
    asked.push(`${url.pathname}${url.search}`);
    const answer = (status: number, body: unknown) =>
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
    if (url.pathname === '/v1/admin/checkpoints') {
      return answer(200, { checkpoints: [`aa.${'b'.repeat(state.count)}.cc`], keys: [] });
    }
    const after = url.searchParams.get('after');
    if (after !== null && state.unknownCursors) {
      return answer(409, {
        type: 'about:blank',
        title: 'The system log was made anew.',
        status: 409,
        code: 'log_cursor_unknown',
      });
    }
    const first = Number(after ?? 0) + 1;
    const limit = Math.min(Number(url.searchParams.get('limit')), 3);
    const last = Math.min(state.count, first + limit - 1);
    const events = Array.from({ length: Math.max(last - first + 1, 0) }, (_, index) =>
      eventOf(first + index),
    );
    return answer(200, {
      events,
      next: String(Math.max(last, first - 1)),
      more: last < state.count,
    });
  });
  const socket = join(directory, 'broker.sock');
  await new Promise<void>((listening) => server.listen(socket, listening));
  ends.push(() => server.close());
  return { state, asked, access: { socket, ownerToken: 'owner' } };
}

async function world() {
  const directory = temporaryDirectory();
  const broker = await startBroker(directory);
  const receiver = await startSyslogReceiver();
  ends.push(receiver.stop);
  const authoritiesFile = join(directory, 'ca.pem');
  writeFileSync(authoritiesFile, receiver.certificate);
  const cursorPath = join(directory, 'syslog-cursor.json');
  const logged: string[] = [];
  const options = {
    receiver: readSyslogReceiver({ receiver: `127.0.0.1:${receiver.port}`, authoritiesFile }),
    access: broker.access,
    cursorPath,
    hostname: 'broker.example.com',
    log: {
      write: (_: string, event: string) => void logged.push(event),
      passThrough: () => undefined,
    },
    pollMs: 10,
  };
  const numbers = () =>
    receiver.messages
      .filter((message) => message.includes(' pki.cert.issue '))
      .map((message) => JSON.parse(message.slice(message.indexOf('{'))).record.sequence);
  const checkpoints = () =>
    receiver.messages
      .filter((message) => message.includes(' audit-checkpoint '))
      .map((message) => JSON.parse(message.slice(message.indexOf('{'))).checkpoint);
  return { ...broker, receiver, options, cursorPath, logged, numbers, checkpoints };
}

const { signal } = new AbortController();

describe('LogShipping', () => {
  it('sends page by page, then a checkpoint, and notes how far it has come', async () => {
    const { state, options, numbers, checkpoints, cursorPath } = await world();
    state.count = 5;
    const shipping = new LogShipping(options);
    expect(await shipping.ship(signal)).toBe(true);
    expect(checkpoints()).toEqual([]);
    expect(await shipping.ship(signal)).toBe(false);
    expect(numbers()).toEqual([1, 2, 3, 4, 5]);
    expect(checkpoints()).toEqual(['aa.bbbbb.cc']);
    expect(JSON.parse(readFileSync(cursorPath, 'utf8'))).toMatchObject({ cursor: '5' });
    state.count = 6;
    await new LogShipping(options).ship(signal);
    expect(numbers()).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('keeps silent while there is nothing, and covers later what no checkpoint covered', async () => {
    const { state, options, receiver, checkpoints } = await world();
    const shipping = new LogShipping({ ...options, checkpointEveryMs: 1_000 });
    state.count = 1;
    await shipping.ship(signal, 5_000);
    state.count = 2;
    await shipping.ship(signal, 5_500);
    const { connections } = receiver.state;
    await shipping.ship(signal, 5_999);
    expect(receiver.state.connections).toBe(connections);
    expect(checkpoints()).toEqual(['aa.b.cc']);
    await shipping.ship(signal, 6_000);
    expect(checkpoints()).toEqual(['aa.b.cc', 'aa.bb.cc']);
  });

  it('sends again what a broken connection may have lost', async () => {
    const { state, options, receiver, numbers, cursorPath } = await world();
    state.count = 2;
    receiver.state.refuse = true;
    const shipping = new LogShipping(options);
    await expect(shipping.ship(signal)).rejects.toThrow();
    expect(() => readFileSync(cursorPath)).toThrow();
    receiver.state.refuse = false;
    await shipping.ship(signal);
    expect(numbers()).toEqual([1, 2]);
  });

  it('sends nothing to a receiver that the authorities do not know, or that has another name', async () => {
    const { state, options, receiver, numbers } = await world();
    state.count = 1;
    const unknown = { ...options.receiver, authorities: undefined };
    await expect(new LogShipping({ ...options, receiver: unknown }).ship(signal)).rejects.toThrow();
    const renamed = { ...options.receiver, host: '127.0.0.2' };
    await expect(new LogShipping({ ...options, receiver: renamed }).ship(signal)).rejects.toThrow();
    expect(numbers()).toEqual([]);
    expect(receiver.messages).toEqual([]);
  });

  it('sends everything to another receiver, and does not mind a damaged file', async () => {
    const { state, options, numbers, cursorPath } = await world();
    state.count = 1;
    writeFileSync(cursorPath, JSON.stringify({ version: 1, receiver: 'other:1', cursor: '1' }));
    await new LogShipping(options).ship(signal);
    writeFileSync(cursorPath, '{');
    await new LogShipping(options).ship(signal);
    expect(numbers()).toEqual([1, 1]);
  });

  it('goes on a day earlier where the log was made anew', async () => {
    const { state, options, asked, numbers } = await world();
    state.count = 1;
    const shipping = new LogShipping(options);
    await shipping.ship(signal);
    state.unknownCursors = true;
    await shipping.ship(signal);
    expect(numbers()).toEqual([1, 1]);
    expect(asked.at(-1)).toBe(
      `/v1/admin/log?limit=500&since=${encodeURIComponent(new Date(1_700_000_000_001 - 86_400_000).toISOString())}`,
    );
  });
});

it('ships until it is ended, through failures, which it tells', async () => {
  const { state, options, receiver, numbers, logged } = await world();
  state.count = 7;
  receiver.state.refuse = true;
  const end = shipLog(options);
  ends.push(end);
  await expect.poll(() => logged).toContain('syslog_failed');
  receiver.state.refuse = false;
  await expect.poll(() => new Set(numbers()).size, { timeout: 5000 }).toBe(7);
  expect(logged).toContain('syslog_recovered');
  await end();
  const { connections } = receiver.state;
  state.count = 8;
  await new Promise((later) => setTimeout(later, 50));
  expect(receiver.state.connections).toBe(connections);
});

describe('readSyslogReceiver', () => {
  it.each([
    ['siem.example.com:6514', 'siem.example.com', 6514],
    ['10.1.2.3:6514', '10.1.2.3', 6514],
    ['[fd00::1]:6514', 'fd00::1', 6514],
  ])('reads %s', (receiver, host, port) => {
    expect(readSyslogReceiver({ receiver })).toEqual({ host, port, authorities: undefined });
  });

  it.each([
    '',
    'siem',
    'siem:0',
    'siem:70000',
    'siem:x',
    'fd00::1:6514',
    '[siem]:6514',
    'a b:1',
    'https://siem:6514',
  ])('refuses %j', (receiver) => {
    expect(() => readSyslogReceiver({ receiver })).toThrow(
      expect.objectContaining({ failure: 'setting_invalid' }),
    );
  });

  it('refuses a file without authorities', () => {
    const authoritiesFile = join(temporaryDirectory(), 'ca.pem');
    const read = () => readSyslogReceiver({ receiver: 'siem:1', authoritiesFile });
    expect(read).toThrow(/cannot be used/);
    writeFileSync(authoritiesFile, 'nothing');
    expect(read).toThrow(/holds no PEM certificate/);
  });
});
