// Bytes on a connection: bodies without end, clients that dawdle, requests that two programs would read differently.
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import type { TestClient } from '@countersign/testkit/broker-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { peakMemoryMiB } from '../support/process-memory.ts';
import { exchangeBytes, openConnection } from '../support/raw-http.ts';
import { TestBroker } from '../support/test-broker.ts';

type Connection = Awaited<ReturnType<typeof openConnection>>;

let broker: TestBroker;
let client: TestClient;
/** Opened first and looked at last, while the server waits for what they do not send. */
let dawdlers: { readonly headers: Connection; readonly body: Connection };

const lines = (...text: string[]) => `${text.join('\r\n')}\r\n`;
const post = (...headers: string[]) =>
  `${lines('POST /v1/enrollments HTTP/1.1', 'Host: a', 'Content-Type: application/json', ...headers)}\r\n`;

beforeAll(async () => {
  broker = await TestBroker.start();
  client = await broker.client.registerClient();
  dawdlers = {
    headers: await openConnection(broker.httpPort),
    body: await openConnection(broker.httpPort),
  };
  dawdlers.headers.socket.write('POST /v1/enrollments HTTP/1.1\r\nHost: a\r\nX-');
  dawdlers.body.socket.write(`${post('Content-Length: 1000')}{`);
});
afterAll(() => broker?.stopAndRemove());

const isHealthy = async () => (await broker.client.request('/healthz')).status === 200;
/** Sooner than any of those is cut off who would have to be waited for. */
const notHeldUpMs = 8_000;

describe('#29 a body of 100 MB', () => {
  const bodyBytes = 100 * 1024 * 1024;
  const chunk = Buffer.alloc(64 * 1024, 0x20);
  const framings: Record<string, [header: string, piece: Buffer]> = {
    'with its length': [`Content-Length: ${bodyBytes}`, chunk],
    'in chunks, without a length': [
      'Transfer-Encoding: chunked',
      Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')]),
    ],
  };

  /** Sends until all is sent or the server has closed the connection, and gives the answer. */
  async function pour(header: string, piece: Buffer) {
    const connection = await openConnection(broker.httpPort);
    connection.socket.write(post(header));
    Readable.from(Array(bodyBytes / chunk.length).fill(piece)).pipe(connection.socket, {
      end: false,
    });
    await connection.closedWithin(20_000);
    return connection.answer();
  }

  it.each(Object.entries(framings))(
    '%s, four times at once: is refused, and nobody keeps it',
    async (_, framing) => {
      const pid = broker.server.workerdPid();
      if (pid === undefined) throw new Error('workerd runs');
      const before = { workerd: peakMemoryMiB(pid), front: process.memoryUsage().rss / 1024 ** 2 };
      const answers = await Promise.all(Array.from({ length: 4 }, () => pour(...framing)));
      for (const { statuses, text } of answers) {
        expect(statuses).toEqual([413]);
        expect(text).toContain('"code":"body_too_large"');
        expect(text).toMatch(/cache-control: no-store/i);
      }
      expect(peakMemoryMiB(pid) - before.workerd).toBeLessThan(16);
      // Of 400 MiB; what is left are buffers that wait for the garbage collection of this process.
      expect(process.memoryUsage().rss / 1024 ** 2 - before.front).toBeLessThan(160);
      expect(await isHealthy()).toBe(true);
    },
  );

  it('is not even sent by a client that asks first', async () => {
    const answer = await exchangeBytes(
      broker.httpPort,
      post(`Content-Length: ${bodyBytes}`, 'Expect: 100-continue'),
    );
    expect(answer.statuses).toEqual([413]);
    expect(answer.text).not.toContain('100 Continue');
  });

  it('of 40 clients at once leaves the broker answering', async () => {
    const connections = await Promise.all(
      Array.from({ length: 40 }, () => openConnection(broker.httpPort)),
    );
    for (const { socket } of connections) {
      socket.write(post('Transfer-Encoding: chunked'));
      socket.write(framings['in chunks, without a length']?.[1] ?? '');
    }
    const began = performance.now();
    expect(await isHealthy()).toBe(true);
    expect(performance.now() - began).toBeLessThan(notHeldUpMs);
    for (const { socket } of connections) socket.destroy();
  });
});

describe('#22 a request that two programs would read differently', () => {
  const smuggled = lines('GET /smuggled HTTP/1.1', 'Host: a', '');
  const requests: Record<string, string> = {
    'a length and chunks': `${post('Content-Length: 6', 'Transfer-Encoding: chunked')}0\r\n\r\n${smuggled}`,
    'chunks and a length': `${post('Transfer-Encoding: chunked', 'Content-Length: 4')}5c\r\n${smuggled}0\r\n\r\n`,
    'chunks twice': `${post('Transfer-Encoding: chunked', 'Transfer-Encoding: identity')}0\r\n\r\n${smuggled}`,
    'chunks behind a tab': `${post('Transfer-Encoding:\tchunked\u000b')}0\r\n\r\n${smuggled}`,
    'an unknown coding': `${post('Transfer-Encoding: xchunked')}0\r\n\r\n${smuggled}`,
    'a space before the colon': `${post('Transfer-Encoding : chunked')}0\r\n\r\n${smuggled}`,
    'two lengths': `${post('Content-Length: 2', 'Content-Length: 60')}{}${smuggled}`,
    'a list of lengths': `${post('Content-Length: 2, 60')}{}${smuggled}`,
    'a length with a plus': `${post('Content-Length: +2')}{}${smuggled}`,
    'a length in hexadecimal': `${post('Content-Length: 0x2')}{}${smuggled}`,
    'a length below zero': `${post('Content-Length: -2')}{}${smuggled}`,
    'a length of 20 digits': `${post('Content-Length: 99999999999999999999')}{}${smuggled}`,
    'a folded header': `${lines('POST /v1/enrollments HTTP/1.1', 'Host: a', 'X-A: b', ' Transfer-Encoding: chunked')}\r\n${smuggled}`,
    'line feeds alone': 'POST /v1/enrollments HTTP/1.1\nHost: a\nContent-Length: 0\n\n',
    'a carriage return in a header': `${lines('GET /healthz HTTP/1.1', 'Host: a', 'X-A: b\rc')}\r\n`,
    'a NUL in a header': `${lines('GET /healthz HTTP/1.1', 'Host: a', 'X-A: b\u0000c')}\r\n`,
    'a header without a name': `${lines('GET /healthz HTTP/1.1', 'Host: a', ': b')}\r\n`,
    'a chunk with an endless length': `${post('Transfer-Encoding: chunked')}fffffffffffffffff\r\n`,
    'a chunk with no length': `${post('Transfer-Encoding: chunked')}z\r\n{}\r\n0\r\n\r\n`,
    'two hosts': `${lines('GET /healthz HTTP/1.1', 'Host: a', 'Host: b')}\r\n`,
    'no host': `${lines('GET /healthz HTTP/1.1')}\r\n`,
    'the address of a proxy': `${lines('GET http://evil.example/healthz HTTP/1.1', 'Host: a')}\r\n`,
    'an asterisk': `${lines('OPTIONS * HTTP/1.1', 'Host: a')}\r\n`,
    'a later version': `${lines('GET /healthz HTTP/3.0', 'Host: a')}\r\n`,
    'a version from before headers': 'GET /healthz\r\n\r\n',
    'a TLS handshake': '\u0016\u0003\u0001\u0000\u0005\u0001\u0000\u0000\u0001\u0003',
    'HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  };
  it.each(Object.entries(requests))(
    '%s: is answered once at most, and never with success',
    async (_, bytes) => {
      const answer = await exchangeBytes(broker.httpPort, bytes);
      expect(answer.statuses.length, answer.text).toBeLessThanOrEqual(1);
      for (const status of answer.statuses) {
        expect(status, answer.text).toBeGreaterThanOrEqual(400);
        expect(status, answer.text).toBeLessThan(500);
      }
      expect(answer.closed || answer.statuses.length === 0).toBe(true);
      expect(broker.logLines.filter((line) => line.includes('/smuggled'))).toEqual([]);
    },
  );

  it('asks for another protocol and gets HTTP/1.1', async () => {
    const answer = await exchangeBytes(
      broker.httpPort,
      `${lines('GET /healthz HTTP/1.1', 'Host: a', 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__')}\r\n`,
    );
    expect(answer.statuses).toEqual([200]);
    expect(answer.text).not.toMatch(/^HTTP\/1.1 101/m);
  });

  it('opens no tunnel', async () => {
    const answer = await exchangeBytes(
      broker.httpPort,
      `${lines('CONNECT 127.0.0.1:22 HTTP/1.1', 'Host: 127.0.0.1:22')}\r\n`,
    );
    expect(answer.statuses.filter((status) => status < 400)).toEqual([]);
    expect(answer.closed).toBe(true);
  });

  it('comes behind another one, and both are answered once and in order', async () => {
    const first = `${lines('GET /healthz HTTP/1.1', 'Host: a')}\r\n`;
    const second = `${lines('GET /nothing HTTP/1.1', 'Host: a')}\r\n`;
    const last = `${lines('GET /healthz HTTP/1.1', 'Host: a', 'Connection: close')}\r\n`;
    const answer = await exchangeBytes(broker.httpPort, `${first}${second}${last}`);
    expect(answer.statuses).toEqual([200, 404, 200]);
  });

  it.each<[string, string]>([
    ['20 KB of headers', `GET /healthz HTTP/1.1\r\nHost: a\r\nX-A: ${'x'.repeat(20_000)}\r\n\r\n`],
    ['an address of 20 KB', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`],
  ])('%s: is refused', async (_, bytes) => {
    const answer = await exchangeBytes(broker.httpPort, bytes);
    expect(answer.statuses).toEqual([431]);
    expect(answer.closed).toBe(true);
  });
});

describe('the TLS port', () => {
  const handshake = async (options: object) => {
    const socket = connectTls({
      host: '127.0.0.1',
      port: Number(new URL(broker.server.tlsUrl).port),
      rejectUnauthorized: false,
      ...options,
    });
    try {
      await once(socket, 'secureConnect');
      return socket.getProtocol();
    } catch {
      return undefined;
    } finally {
      socket.destroy();
    }
  };

  it('speaks TLS 1.2 and 1.3, and nothing older', async () => {
    const only = (version: string) =>
      handshake({ minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' });
    expect(await only('TLSv1.3')).toBe('TLSv1.3');
    expect(await only('TLSv1.2')).toBe('TLSv1.2');
    expect(await only('TLSv1.1')).toBeUndefined();
    expect(await only('TLSv1')).toBeUndefined();
  });

  it('does not answer a request in the clear', async () => {
    const port = Number(new URL(broker.server.tlsUrl).port);
    const answer = await exchangeBytes(port, `${lines('GET /healthz HTTP/1.1', 'Host: a')}\r\n`);
    expect(answer.statuses.filter((status) => status < 400)).toEqual([]);
    expect(answer.text).not.toContain('"status"');
  });
});

describe('#17 clients that dawdle', () => {
  it('50 of them, each with an open request, hold nobody up', async () => {
    const idle = await Promise.all(
      Array.from({ length: 50 }, () => openConnection(broker.httpPort)),
    );
    for (const [index, { socket }] of idle.entries()) {
      socket.write(index % 2 === 0 ? 'POST /v1/enr' : `${post('Content-Length: 1000')}{`);
    }
    await sleep(50);
    const began = performance.now();
    await broker.client.challenge(client, 'A'.repeat(43));
    expect(performance.now() - began).toBeLessThan(notHeldUpMs);
    for (const { socket } of idle) socket.destroy();
  });

  it('are cut off: over headers after some 10 seconds, over a body after some 30', async () => {
    expect(await dawdlers.headers.closedWithin(15_000)).toBe(true);
    expect(dawdlers.headers.answer().statuses).toEqual([408]);
    expect(await dawdlers.body.closedWithin(40_000)).toBe(true);
    expect(dawdlers.body.answer().statuses).toEqual([408]);
    expect(await isHealthy()).toBe(true);
  }, 120_000);
});
