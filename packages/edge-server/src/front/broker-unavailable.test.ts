import type { RequestListener } from 'node:http';
import { problemDocument } from '@countersign/protocol/problem';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { ask, startTestFront } from '../testing/start-test-front.ts';

const answering: RequestListener = (_request, response) => void response.end('ok');
const problemOf = (body: string) => problemDocument.parse(JSON.parse(body));

describe('without a working broker', () => {
  it('answers 503 with a problem document that says when to come again', async () => {
    const front = await startTestFront(answering, { isReady: () => false });
    const { status, headers, body } = await ask(front.httpPort, {
      method: 'POST',
      headers: { 'X-Request-ID': 'request-7' },
      body: 'hello',
    });
    expect(status).toBe(503);
    expect(headers).toMatchObject({
      'content-type': 'application/problem+json',
      'retry-after': '1',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-request-id': 'request-7',
    });
    expect(problemOf(body)).toMatchObject({ status: 503, code: 'storage_unavailable' });
  });

  it('answers 503 when the connection breaks before an answer, and does not ask twice', async () => {
    let asked = 0;
    const front = await startTestFront((request) => {
      asked += 1;
      request.socket.destroy();
    });
    expect(await ask(front.httpPort, { method: 'POST', body: 'x' })).toMatchObject({ status: 503 });
    expect(asked).toBe(1);
  });

  it('answers 503 once when the broker takes too long, and does not ask twice', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    onTestFinished(() => void vi.useRealTimers());
    const paths: string[] = [];
    const front = await startTestFront(
      ({ url = '' }, response) => {
        paths.push(url);
        if (url === '/') response.end('ok');
      },
      { connectionTiming: { answerTimeoutMs: 200 } },
    );
    // From now on there is a connection that has served a request.
    expect(await ask(front.httpPort)).toMatchObject({ status: 200 });
    const never = ask(front.httpPort, { path: '/never' });
    await expect.poll(() => paths, { timeout: 10_000 }).toContain('/never');
    vi.advanceTimersByTime(250);
    const { status, headers, body } = await never;
    expect(status).toBe(503);
    expect(headers).toMatchObject({ 'retry-after': '1' });
    expect(problemOf(body)).toMatchObject({
      code: 'storage_unavailable',
      detail: 'The broker did not answer in time.',
    });
    expect(paths).toEqual(['/', '/never']);
    expect(front.log).toMatchObject([
      { event: 'answer_failed', failure: 'timed_out', request_id: headers['x-request-id'] },
    ]);
  });

  it('cuts the answer off when the connection breaks in the middle of it', async () => {
    const front = await startTestFront((request, response) => {
      response.writeHead(200, { 'Content-Length': 100 });
      response.write('half');
      setTimeout(() => request.socket.destroy(), 20);
    });
    await expect(ask(front.httpPort)).rejects.toThrow(/aborted/);
  });

  it('asks again when an idle connection had been closed, if nothing can happen twice', async () => {
    let connection = 0;
    const front = await startTestFront(answering);
    // The first connection answers once and then drops whatever comes.
    front.upstream.removeAllListeners('request');
    const numbers = new WeakMap<object, number>();
    front.upstream.on('connection', (socket) => {
      connection += 1;
      numbers.set(socket, connection);
    });
    let answered = false;
    front.upstream.on('request', (request, response) => {
      if (numbers.get(request.socket) === 1 && answered) request.socket.destroy();
      else {
        answered = true;
        response.end('ok');
      }
    });
    expect(await ask(front.httpPort)).toMatchObject({ status: 200 });
    expect(await ask(front.httpPort)).toMatchObject({ status: 200, body: 'ok' });
    expect(connection).toBe(2);
  });
});
