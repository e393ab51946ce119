import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { watchLiveness } from './watch-liveness.ts';

async function watched(listener: RequestListener) {
  const socket = join(temporaryDirectory(), 'workerd.sock');
  const server = createServer(listener).listen(socket);
  await once(server, 'listening');
  const state = { hung: 0 };
  const onHung = () => {
    state.hung += 1;
  };
  const end = watchLiveness(socket, onHung, { intervalMs: 40, timeoutMs: 200 });
  onTestFinished(() => {
    end();
    server.closeAllConnections();
    server.close();
  });
  return { state, end };
}

it('takes any complete answer for a sign of life, also a refusal', async () => {
  const asked: unknown[] = [];
  const { state } = await watched((request, response) => {
    asked.push(request.url);
    response.writeHead(asked.length % 2 === 0 ? 503 : 404).end('no JSON');
  });
  while (asked.length < 6) await sleep(10);
  expect(state.hung).toBe(0);
  expect(new Set(asked)).toEqual(new Set(['/healthz']));
});

it('begins to count anew with every answer, and reports three missing ones in a row once', async () => {
  let asked = 0;
  const { state } = await watched((_request, response) => {
    asked += 1;
    if (asked === 3) response.end();
  });
  while (asked < 6) {
    expect(state.hung).toBe(0);
    await sleep(5);
  }
  while (state.hung === 0) await sleep(5);
  await sleep(300);
  expect(asked).toBe(6);
  expect(state.hung).toBe(1);
});

it('takes an answer for none that comes drop by drop, and one that breaks off', async () => {
  let asked = 0;
  const { state } = await watched((_request, response) => {
    asked += 1;
    response.writeHead(200, { 'Content-Length': 1_000 });
    const drip = setInterval(() => response.write('.'), 10);
    response.on('close', () => clearInterval(drip));
    if (asked === 2) setTimeout(() => response.destroy(), 20);
  });
  while (state.hung === 0) await sleep(10);
  expect(asked).toBe(3);
});

it('is over once it is ended, also in the middle of a question', async () => {
  let asked = 0;
  let broken = 0;
  const { state, end } = await watched((request) => {
    asked += 1;
    request.on('close', () => {
      broken += 1;
    });
  });
  while (asked < 2) await sleep(5);
  end();
  await sleep(500);
  expect({ asked, broken, hung: state.hung }).toEqual({ asked: 2, broken: 2, hung: 0 });
});
