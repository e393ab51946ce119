import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished, vi } from 'vitest';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { type ConnectionTiming, type Exchange, WorkerdConnections } from './workerd-connections.ts';

type Answer = (request: string, socket: Socket, connection: number) => void;

async function upstream(answer: Answer, timing: ConnectionTiming = {}) {
  const path = join(temporaryDirectory(), 'upstream.sock');
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    const connection = sockets.push(socket);
    socket.setEncoding('latin1').on('data', (text: string) => answer(text, socket, connection));
    socket.on('error', () => undefined);
  }).listen(path);
  await once(server, 'listening');
  const connections = new WorkerdConnections(path, timing);
  onTestFinished(() => {
    connections.destroy();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { connections, sockets };
}

/** Time passes for the connections when the test says so, however long anything takes. */
function stopClock() {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
}

const patience = { timeout: 10_000, interval: 5 };

type Outcome = { status?: number; body: string; ending: string };

function ask(connections: WorkerdConnections, path: string, body?: string) {
  const outcome: Outcome = { body: '', ending: '' };
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const finish = (ending: string) => {
    outcome.ending += ending;
    resolve(outcome);
  };
  const exchange: Exchange = connections.send(
    {
      head: `POST ${path} HTTP/1.1\r\nHost: a\r\n\r\n`,
      body: body === undefined ? undefined : Buffer.from(body),
      isHead: false,
    },
    {
      onHead: ({ status }) => {
        outcome.status = status;
      },
      onData: (data) => {
        outcome.body += data.toString();
      },
      onPart: () => true,
      onEnd: () => finish('end'),
      onFailure: finish,
    },
  );
  return { outcome: promise, exchange, soFar: outcome };
}

const ok = (body: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

it('uses one connection for requests that come after each other, and sends each in one piece', async () => {
  const requests: string[] = [];
  const { connections, sockets } = await upstream((request, socket) => {
    requests.push(request);
    socket.write(ok(request.slice(-3)));
  });
  for (const body of ['one', 'two', 'six']) {
    expect(await ask(connections, '/', body).outcome).toEqual({ status: 200, body, ending: 'end' });
  }
  expect(sockets).toHaveLength(1);
  expect(requests[1]).toBe('POST / HTTP/1.1\r\nHost: a\r\n\r\ntwo');
});

it('opens another one for each request that comes meanwhile, up to a limit, and then waits', async () => {
  let held: Array<() => void> = [];
  const { connections, sockets } = await upstream((request, socket) => {
    held.push(() => socket.write(ok(request.split(' ')[1] ?? '')));
  });
  const asked = Array.from({ length: 600 }, (_, index) => ask(connections, `/${index}`));
  while (held.length < 512) await sleep(5);
  await sleep(50);
  expect(sockets).toHaveLength(512);
  // One that waits and is given up never reaches the other side.
  asked[599]?.exchange.abandon();
  let answered = 0;
  while (answered < 599) {
    const now = held;
    held = [];
    answered += now.length;
    for (const answer of now) answer();
    await sleep(1);
  }
  const outcomes = await Promise.all(asked.slice(0, 599).map(({ outcome }) => outcome));
  expect(outcomes.map(({ body }) => body)).toEqual(outcomes.map((_, index) => `/${index}`));
  expect(sockets).toHaveLength(512);
});

it('reports a connection that breaks, and whether it had been used before', async () => {
  let count = 0;
  const { connections } = await upstream((_request, socket) => {
    count += 1;
    if (count === 1) socket.write(ok('fine'));
    else socket.destroy();
  });
  expect(await ask(connections, '/').outcome).toMatchObject({ ending: 'end' });
  expect(await ask(connections, '/').outcome).toEqual({ body: '', ending: 'stale_connection' });
  expect(await ask(connections, '/').outcome).toEqual({ body: '', ending: 'broken' });
});

it('does not call a connection stale that breaks after its answer has begun', async () => {
  let count = 0;
  const { connections } = await upstream((_request, socket) => {
    count += 1;
    if (count === 1) socket.write(ok('fine'));
    else socket.end('HTTP/1.1 2');
  });
  expect(await ask(connections, '/').outcome).toMatchObject({ ending: 'end' });
  expect(await ask(connections, '/').outcome).toEqual({ body: '', ending: 'broken' });
});

it('gives up what is not answered in time, also on a used connection, and trusts it no more', async () => {
  stopClock();
  const seen: string[] = [];
  const { connections } = await upstream(
    (request, socket, connection) => {
      seen.push(`${connection} ${request.split(' ')[1]}`);
      if (!request.includes('/never')) socket.write(ok('fine'));
    },
    { answerTimeoutMs: 200 },
  );
  expect(await ask(connections, '/').outcome).toMatchObject({ ending: 'end' });
  const never = ask(connections, '/never');
  await expect.poll(() => seen, patience).toEqual(['1 /', '1 /never']);
  vi.advanceTimersByTime(200);
  expect(await ask(connections, '/').outcome).toMatchObject({ ending: 'end' });
  expect(never.soFar).toEqual({ body: '', ending: '' });
  vi.advanceTimersByTime(50);
  expect(await never.outcome).toEqual({ body: '', ending: 'timed_out' });
  const later = [ask(connections, '/'), ask(connections, '/')];
  for (const { outcome } of later) expect(await outcome).toMatchObject({ body: 'fine' });
  expect(seen.slice(2).toSorted()).toEqual(['2 /', '2 /', '3 /']);
});

it('lets nobody wait for a connection longer than for an answer', async () => {
  stopClock();
  const { connections, sockets } = await upstream(
    (_request, socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n'),
    { answerTimeoutMs: 400 },
  );
  const slow = Array.from({ length: 512 }, () => ask(connections, '/slow').soFar);
  const waiting = ask(connections, '/late');
  await expect.poll(() => slow.every(({ status }) => status === 200), patience).toBe(true);
  vi.advanceTimersByTime(250);
  // So that these connections are still within their time when the one that waits is not.
  for (const socket of sockets) socket.write('a');
  await expect.poll(() => slow.every(({ body }) => body === 'a'), patience).toBe(true);
  vi.advanceTimersByTime(150);
  expect(waiting.soFar.ending).toBe('');
  vi.advanceTimersByTime(100);
  expect(await waiting.outcome).toEqual({ body: '', ending: 'timed_out' });
  for (const socket of sockets) socket.write('aaaaaaaa');
  await expect.poll(() => slow.every(({ ending }) => ending === 'end'), patience).toBe(true);
  expect(sockets).toHaveLength(512);
});

it('reports a failure where nobody listens', async () => {
  const connections = new WorkerdConnections(join(temporaryDirectory(), 'nobody.sock'));
  onTestFinished(() => connections.destroy());
  expect(await ask(connections, '/').outcome).toEqual({ body: '', ending: 'broken' });
});

it.each([
  [
    'broken off',
    'broken',
    (socket: Socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf'),
  ],
  [
    'malformed',
    'malformed',
    (socket: Socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n'),
  ],
  ['followed by more', 'malformed', (socket: Socket) => void socket.write(`${ok('a')}${ok('b')}`)],
])(
  'reports an answer that is %s, and trusts that connection no more',
  async (_name, ending, answer) => {
    const { connections, sockets } = await upstream((request, socket) => {
      if (request.includes('/good')) socket.write(ok('good'));
      else answer(socket);
    });
    expect((await ask(connections, '/bad').outcome).ending).toBe(ending);
    expect(await ask(connections, '/good').outcome).toMatchObject({ body: 'good', ending: 'end' });
    expect(sockets).toHaveLength(2);
  },
);

it('does not use a connection again that the other side wants closed, or whose answer was given up', async () => {
  const { connections, sockets } = await upstream((request, socket) => {
    if (request.includes('/close')) {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nc');
    } else if (!request.includes('/never')) socket.write(ok('k'));
  });
  expect(await ask(connections, '/close').outcome).toMatchObject({ body: 'c', ending: 'end' });
  const { exchange } = ask(connections, '/never');
  exchange.abandon();
  expect(await ask(connections, '/keep').outcome).toMatchObject({ body: 'k', ending: 'end' });
  expect(sockets).toHaveLength(3);
});

it('closes what has been idle for long, and only that', async () => {
  const { connections, sockets } = await upstream((_request, socket) => socket.write(ok('a')), {
    idleMs: 400,
  });
  await ask(connections, '/').outcome;
  const [socket] = sockets;
  const startedAt = performance.now();
  if (socket !== undefined) await once(socket, 'close');
  expect(performance.now() - startedAt).toBeGreaterThan(350);
  expect(await ask(connections, '/').outcome).toMatchObject({ body: 'a' });
  expect(sockets).toHaveLength(2);
});
