import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { problemDocument } from '@countersign/protocol/problem';
import { describe, expect, it } from 'vitest';
import { ask, exchangeRaw, startTestFront } from '../testing/start-test-front.ts';

const echo: Parameters<typeof startTestFront>[0] = (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const { method, url, rawHeaders } = request;
    response.setHeader('Content-Type', 'application/json');
    response.setHeader('X-Answer', 'yes');
    response.end(
      JSON.stringify({ method, url, rawHeaders, body: Buffer.concat(chunks).toString() }),
    );
  });
};

const problemOf = (body: string) => problemDocument.parse(JSON.parse(body));
const megabyte = 1024 * 1024;

describe('the front', () => {
  it('passes a request on and its answer back', async () => {
    const front = await startTestFront(echo);
    const headers = { Origin: 'https://sso.example.com', 'CF-Blob': '{"forged":1}' };
    const answer = await ask(front.httpPort, {
      method: 'POST',
      path: '/a/b?c=%20d',
      headers,
      body: 'hello',
    });
    expect(answer).toMatchObject({ status: 200, headers: { 'x-answer': 'yes' } });
    const received = JSON.parse(answer.body);
    expect(received).toMatchObject({ method: 'POST', url: '/a/b?c=%20d', body: 'hello' });
    expect(received.rawHeaders).toContain('https://sso.example.com');
    expect(received.rawHeaders.filter((text: string) => /^cf-blob$/i.test(text))).toHaveLength(1);
    expect(received.rawHeaders).not.toContain('{"forged":1}');
  });

  it.each(['a', 'SSO.example.com:443', '127.0.0.1:8780', '[::1]:8780', 'a_b.example'])(
    'takes the host %s',
    async (host) => {
      const front = await startTestFront(echo);
      const text = `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
      expect(await exchangeRaw(front.httpPort, text)).toMatch(/^HTTP\/1\.1 200 /);
    },
  );

  it('frames a chunked body anew, with its length', async () => {
    const front = await startTestFront(echo);
    const answer = await exchangeRaw(
      front.httpPort,
      'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n',
    );
    expect(answer).toContain('"body":"abcde"');
    expect(answer).toContain('"Content-Length","5"');
    expect(answer).not.toMatch(/"transfer-encoding"/i);
  });

  it.each([
    [
      'both framings',
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    [
      'two lengths',
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde',
    ],
    [
      'a disguised coding',
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
    ],
    ['a folded header', 'GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n CF-Blob: {}\r\n\r\n'],
    ['a space before the colon', 'GET / HTTP/1.1\r\nHost: a\r\nCF-Blob : {}\r\n\r\n'],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n'],
    ['two Hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'],
    ['an empty Host', 'GET / HTTP/1.1\r\nHost:\r\n\r\n'],
    ['a Host that is none', 'GET / HTTP/1.1\r\nHost: a b/../?#@\r\n\r\n'],
    ['a Host with a user', 'GET / HTTP/1.1\r\nHost: b@a\r\n\r\n'],
    ['a Host with a port that is none', 'GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n'],
    ['another scheme in the request line', 'GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['a bare line feed in the headers', 'GET / HTTP/1.1\r\nHost: a\nCF-Blob: {}\r\n\r\n'],
  ])('refuses a request with %s and closes the connection', async (_what, text) => {
    let reached = 0;
    const front = await startTestFront((request, response) => {
      reached += 1;
      echo(request, response);
    });
    expect(await exchangeRaw(front.httpPort, text)).toMatch(/^HTTP\/1\.1 400 /);
    expect(reached).toBe(0);
  });

  it('takes no upgrade and no CONNECT', async () => {
    const front = await startTestFront(echo);
    const upgraded = await exchangeRaw(
      front.httpPort,
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n',
    );
    expect(upgraded).toMatch(/^HTTP\/1\.1 200 /);
    expect(upgraded.split('\r\n\r\n')[1]).not.toMatch(/upgrade|http2/i);
    expect(await exchangeRaw(front.httpPort, 'CONNECT b:443 HTTP/1.1\r\nHost: b\r\n\r\n')).toBe('');
  });

  it('closes a connection whose headers do not come to an end', async () => {
    const timeouts = { handshakeMs: 200, headersMs: 200, requestMs: 400, idleMs: 200 };
    const front = await startTestFront(echo, { timeouts });
    const startedAt = performance.now();
    const [silent, dripping, slowBody] = await Promise.all([
      exchangeRaw(front.httpPort, ''),
      exchangeRaw(front.httpPort, 'GET / HTTP/1.1\r\nHost: a\r\nX-'),
      exchangeRaw(front.httpPort, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nab'),
    ]);
    expect(silent).toMatch(/^(HTTP\/1\.1 408 .*)?$/s);
    expect(dripping).toMatch(/^HTTP\/1\.1 408 /);
    expect(slowBody).toMatch(/^HTTP\/1\.1 408 /);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });

  it('closes a TLS connection that does not get through its handshake', async () => {
    const timeouts = { handshakeMs: 200, headersMs: 200, requestMs: 400, idleMs: 200 };
    const front = await startTestFront(echo, { timeouts });
    const socket = connect(front.tlsPort, '127.0.0.1');
    socket.on('error', () => undefined);
    await once(socket, 'close');
  });

  it('refuses headers that are too large', async () => {
    const front = await startTestFront(echo);
    const answer = await exchangeRaw(
      front.httpPort,
      `GET / HTTP/1.1\r\nHost: a\r\nX-Long: ${'x'.repeat(20_000)}\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 431 /);
  });

  it('speaks TLS 1.2 and 1.3 only', async () => {
    const front = await startTestFront(echo);
    const handshake = (version: 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3') =>
      new Promise<string>((resolve) => {
        const socket = connectTls({
          port: front.tlsPort,
          host: '127.0.0.1',
          minVersion: version,
          maxVersion: version,
          rejectUnauthorized: false,
          // Otherwise this side would not even offer the old version.
          ciphers: 'ALL:@SECLEVEL=0',
        });
        socket.once('secureConnect', () => {
          resolve(socket.getProtocol() ?? '');
          socket.destroy();
        });
        socket.once('error', () => resolve('refused'));
      });
    expect(await handshake('TLSv1.1')).toBe('refused');
    expect(await handshake('TLSv1.2')).toBe('TLSv1.2');
    expect(await handshake('TLSv1.3')).toBe('TLSv1.3');
  });
});

describe('a body that is too large', () => {
  it('is refused by its declared length, before any of it is sent', async () => {
    const front = await startTestFront(echo);
    const declared = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${100 * megabyte}\r\nExpect: 100-continue\r\n\r\n`;
    const socket = connect(front.httpPort, '127.0.0.1');
    socket.write(declared);
    const [first] = await once(socket.setEncoding('utf8'), 'data');
    socket.destroy();
    expect(first).toMatch(/^HTTP\/1\.1 413 /);
  });

  it('is refused at 1 MiB when its length is not declared', async () => {
    const front = await startTestFront(echo);
    const chunk = `${(64 * 1024).toString(16)}\r\n${'x'.repeat(64 * 1024)}\r\n`;
    const text = `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(17)}0\r\n\r\n`;
    const answer = await exchangeRaw(front.httpPort, text);
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(problemOf(answer.split('\r\n\r\n')[1] ?? '')).toMatchObject({
      status: 413,
      code: 'body_too_large',
    });
  });

  it('is that of an administrator or a directory beyond 25 MiB alone', async () => {
    const front = await startTestFront(echo);
    const sizes = { '/v1/admin/groups/a': 25, '/scim/v2/Users': 26, '/v1/adminx': 2, '/scim': 2 };
    const statuses: Record<string, number> = {};
    for (const [path, size] of Object.entries(sizes)) {
      const body = Buffer.alloc(size * megabyte, 0x61);
      const url = `http://127.0.0.1:${front.httpPort}${path}`;
      const response = await fetch(url, { method: 'PUT', body });
      statuses[path] = response.status;
      await response.arrayBuffer();
    }
    expect(statuses).toEqual({
      '/v1/admin/groups/a': 200,
      '/scim/v2/Users': 413,
      '/v1/adminx': 413,
      '/scim': 413,
    });
  });

  it('does not fill the memory: 100 MB on each of four connections', async () => {
    let reached = 0;
    const front = await startTestFront((request, response) => {
      reached += 1;
      echo(request, response);
    });
    const piece = Buffer.alloc(megabyte, 0x61);
    const send = async () => {
      const socket = connect(front.httpPort, '127.0.0.1');
      let answer = '';
      let open = true;
      socket.setEncoding('latin1').on('data', (text: string) => {
        answer += text;
      });
      socket.on('error', () => undefined);
      socket.once('close', () => {
        open = false;
      });
      socket.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
      for (let sent = 0; open && sent < 100; sent++) {
        socket.write(`${megabyte.toString(16)}\r\n`);
        socket.write(piece);
        if (!socket.write('\r\n')) await Promise.race([once(socket, 'drain'), sleep(200)]);
      }
      socket.destroy();
      return answer;
    };
    const before = process.memoryUsage().rss;
    const watch = setInterval(() => {
      highest = Math.max(highest, process.memoryUsage().rss);
    }, 5);
    let highest = before;
    const answers = await Promise.all([send(), send(), send(), send()]);
    clearInterval(watch);
    for (const answer of answers) expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(reached).toBe(0);
    expect((highest - before) / megabyte).toBeLessThan(100);
  });

  it('passes when it is just small enough', async () => {
    const front = await startTestFront(echo);
    const answer = await ask(front.httpPort, { method: 'POST', body: 'x'.repeat(megabyte) });
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body).body).toHaveLength(megabyte);
  });
});

describe('a long answer', () => {
  it('arrives whole, also in parts, without being held in memory for a slow client', async () => {
    const piece = Buffer.alloc(256 * 1024, 0x62);
    let written = 0;
    const front = await startTestFront(async (_request, response) => {
      for (let count = 0; count < 400; count++) {
        written += piece.length;
        if (!response.write(piece)) await once(response, 'drain');
      }
      response.end();
    });
    const socket = connect(front.httpPort, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await once(socket, 'readable');
    await sleep(300);
    // The client has read next to nothing, so most of it has not even been written.
    expect(written).toBeLessThan(50 * megabyte);
    let received = 0;
    for await (const chunk of socket) received += chunk.length;
    expect(written).toBe(100 * megabyte);
    expect(received).toBeGreaterThan(written);
  });

  it('begins to arrive before it is complete', async () => {
    let finish: (() => void) | undefined;
    const front = await startTestFront((_request, response) => {
      response.write('first');
      finish = () => response.end('last');
    });
    const socket = connect(front.httpPort, '127.0.0.1').setEncoding('utf8');
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    let received = '';
    socket.on('data', (text) => {
      received += text;
    });
    while (!received.includes('first')) await sleep(5);
    finish?.();
    await once(socket, 'close');
    expect(received).toContain('last');
  });
});
