import { createHmac } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { sendDelivery } from './send-delivery.ts';

/** Receivers that do everything but what they should. */

const servers: ReturnType<typeof createServer>[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function receiver(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer(answer);
  servers.push(server);
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  return `http://127.0.0.1:${port}/in`;
}

const deliver = (url: string, timeoutMs = 20_000) =>
  sendDelivery(
    fetch,
    { url, secret: 'csls_x', body: '{"events":[]}' },
    1_700_000_000_000,
    timeoutMs,
  );

describe('sendDelivery', () => {
  it('signs time and body', async () => {
    const seen: { headers: IncomingMessage['headers']; body: string }[] = [];
    const url = await receiver(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(Buffer.from(chunk));
      seen.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
      response.writeHead(204).end();
    });
    expect(await deliver(url)).toEqual({ ok: true });
    const [{ headers, body } = { headers: {}, body: '' }] = seen;
    const expected = createHmac('sha256', 'csls_x').update(`1700000000.${body}`).digest('hex');
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'countersign-timestamp': '1700000000',
      'countersign-signature': `v1=${expected}`,
    });
  });

  it('follows no redirect, wherever it leads', async () => {
    let reached = 0;
    const inner = await receiver((_, response) => {
      reached += 1;
      response.end();
    });
    const url = await receiver((_, response) => response.writeHead(307, { Location: inner }).end());
    expect(await deliver(url)).toEqual({
      ok: false,
      detail: 'the receiver redirects (307), which is not followed',
    });
    expect(reached).toBe(0);
  });

  it.each([400, 401, 404, 410, 429, 500, 503])('is not delivered with %d', async (status) => {
    const url = await receiver((_, response) => response.writeHead(status).end('<script>'));
    expect(await deliver(url)).toEqual({ ok: false, detail: `the receiver answers ${status}` });
  });

  it('does not wait for ever for an answer', async () => {
    const url = await receiver(() => undefined);
    expect(await deliver(url, 100)).toEqual({
      ok: false,
      detail: 'the receiver does not answer within 0.1 s',
    });
  });

  it('reads nothing of an answer without an end', async () => {
    const url = await receiver((_, response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write('x'.repeat(65_536)), 1);
      response.on('close', () => clearInterval(timer));
    });
    const begun = performance.now();
    expect(await deliver(url)).toEqual({ ok: true });
    expect(performance.now() - begun).toBeLessThan(10_000);
  });

  it('fails when the connection is cut, or nobody listens', async () => {
    const cut = await receiver((request) => request.socket.destroy());
    const detail = 'the receiver cannot be reached, or its TLS certificate is not trusted';
    expect(await deliver(cut)).toEqual({ ok: false, detail });
    expect(await deliver('http://127.0.0.1:1/in')).toEqual({ ok: false, detail });
  });
});
