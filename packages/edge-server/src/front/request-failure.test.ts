import { once } from 'node:events';
import { createServer, IncomingMessage, type RequestListener } from 'node:http';
import { connect, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { problemDocument } from '@countersign/protocol/problem';
import { listenOnFreePort } from '@countersign/testkit/listen-on-free-port';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { LogFields } from '../logs.ts';
import { ask, type SimpleAnswer, startTestFront } from '../testing/start-test-front.ts';
import { BodyRoom, type BodyShare } from './body-room.ts';
import { factsOfConnection } from './client-facts.ts';
import { createForwarder } from './forward-request.ts';
import { readBody } from './read-body.ts';
import { RequestGate } from './request-gate.ts';
import type { AnswerReceiver } from './workerd-connections.ts';

/** An exception that nobody catches would end this process, and with it the test. */

function expectFailure(answer: SimpleAnswer, log: LogFields[], message: string) {
  expect(answer).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
  expect(problemDocument.parse(JSON.parse(answer.body))).toMatchObject({
    code: 'storage_unavailable',
    detail: 'The front failed; its log has the cause.',
  });
  const requestId = answer.headers['x-request-id'];
  expect(requestId).toMatch(/./);
  expect(log).toEqual([
    {
      event: 'request_failed',
      message: expect.stringContaining(message),
      request_id: requestId,
    },
  ]);
}

/** A forwarder whose connections do what the test wants, behind a plain HTTP server. */
async function forwarding(
  send: (receiver: AnswerReceiver) => void,
  change: (request: IncomingMessage) => void = () => undefined,
) {
  const log: LogFields[] = [];
  let sent = 0;
  const connections = {
    send: (_wire: unknown, receiver: AnswerReceiver) => {
      sent += 1;
      send(receiver);
      return { resume: () => undefined, abandon: () => undefined };
    },
  };
  const forward = createForwarder(
    {
      connections,
      gate: new RequestGate(),
      isReady: () => true,
      log: {
        write: (_level, event, message, fields) => void log.push({ event, message, ...fields }),
        passThrough: () => undefined,
      },
    },
    'http',
    factsOfConnection,
  );
  const server = createServer((request, response) => {
    change(request);
    forward(request, response, false);
  });
  const port = await listenOnFreePort(server);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port, log, sent: () => sent };
}

describe('an exception in the front', () => {
  it('costs one request its answer before the body was read', async () => {
    let faults = 1;
    const front = await startTestFront((_request, response) => void response.end('ok'), {
      isReady: () => {
        faults -= 1;
        if (faults === 0) throw new Error('not even that');
        return true;
      },
    });
    const answer = await ask(front.httpPort, { method: 'POST', body: 'x'.repeat(100_000) });
    expectFailure(answer, front.log, 'not even that');
    expect(await ask(front.httpPort)).toMatchObject({ status: 200, body: 'ok' });
  });

  it.each(['GET', 'POST'])('costs one %s its answer after the body was read', async (method) => {
    const front = await forwarding(() => {
      throw new Error('no connection at all');
    });
    const body = method === 'POST' ? 'x' : undefined;
    const answer = await ask(front.port, { method, ...(body === undefined ? {} : { body }) });
    expectFailure(answer, front.log, 'no connection at all');
  });

  it('costs one request its answer when the broker answers what cannot be passed on', async () => {
    const front = await startTestFront((request, response) => {
      if (request.url === '/') response.end('ok');
      else request.socket.write('HTTP/1.1 200 OK\r\nX-A: b\x01c\r\nContent-Length: 2\r\n\r\nok');
    });
    expectFailure(await ask(front.httpPort, { path: '/odd' }), front.log, 'Invalid character');
    expect(await ask(front.httpPort)).toMatchObject({ status: 200, body: 'ok' });
  });

  it('cuts off an answer that has begun', async () => {
    const head = { status: 200, rawHeaders: ['Content-Length', '9'], keepAlive: true };
    const front = await forwarding((receiver) => {
      receiver.onHead(head);
      receiver.onData(Buffer.from('half'));
      receiver.onPart();
      setTimeout(() => receiver.onHead(head), 20);
    });
    await expect(ask(front.port)).rejects.toThrow(/aborted/);
    expect(front.log).toMatchObject([{ event: 'request_failed' }]);
  });

  it('is logged where Node reports it later: a part after the end', async () => {
    const front = await forwarding((receiver) => {
      receiver.onHead({ status: 200, rawHeaders: ['Content-Length', '2'], keepAlive: true });
      receiver.onData(Buffer.from('ok'));
      receiver.onEnd();
      receiver.onData(Buffer.from('more'));
      receiver.onPart();
    });
    await ask(front.port).catch(() => undefined);
    while (front.log.length === 0) await sleep(5);
    expect(front.log[0]).toMatchObject({ message: expect.stringContaining('write after end') });
  });

  it('rejects the body that it was thrown for, and gives its room back', async () => {
    let givenBack = 0;
    class NoMemory extends BodyRoom {
      override open(giveWay: () => void): BodyShare {
        const share = super.open(giveWay);
        return {
          ...share,
          take: () => {
            throw new RangeError('no memory');
          },
          giveBack: () => {
            givenBack += 1;
            share.giveBack();
          },
        };
      }
    }
    const request = new IncomingMessage(new Socket());
    request.headers['content-length'] = '4';
    const { result } = readBody(request, 1_000, new NoMemory(1_000));
    request.push('abcd');
    await expect(result).rejects.toThrow('no memory');
    expect(givenBack).toBe(1);
    request.destroy();
    await once(request, 'close');
  });
});

it('answers 503 to an answer that is no HTTP, and logs it', async () => {
  const listener: RequestListener = (request) => void request.socket.write('SSH-2.0\r\n\r\n');
  const front = await startTestFront(listener);
  const { status, headers } = await ask(front.httpPort);
  expect(status).toBe(503);
  expect(front.log).toMatchObject([
    { event: 'answer_failed', failure: 'malformed', request_id: headers['x-request-id'] },
  ]);
});

it.each<[string, (request: IncomingMessage) => void]>([
  [
    'method',
    (request) => Object.assign(request, { method: 'GET / HTTP/1.1\r\nX-A: b\r\n\r\nGET' }),
  ],
  ['target', (request) => Object.assign(request, { url: '/\u010aX-A: b' })],
  ['header', (request) => request.rawHeaders.push('X-A', 'b\ncf-blob: {}')],
  [
    'header, after its upper half is lost,',
    (request) => request.rawHeaders.push('X-A', 'b\u010aX: c'),
  ],
])('refuses a request whose %s would add a line', async (_what, change) => {
  const front = await forwarding(() => undefined, change);
  const { status, body } = await ask(front.port);
  expect(status).toBe(400);
  expect(JSON.parse(body)).toMatchObject({ code: 'field_invalid' });
  expect(front.sent()).toBe(0);
});

it('is silent about a client that goes away', async () => {
  const front = await startTestFront((_request, response) => {
    response.write('x'.repeat(100_000));
    const more = setInterval(() => response.write('x'.repeat(100_000)), 5);
    response.on('close', () => clearInterval(more));
  });
  const leave = async (text: string) => {
    const socket = connect(front.httpPort, '127.0.0.1');
    socket.write(text);
    if (text.endsWith('\r\n\r\n')) await once(socket, 'data');
    else await sleep(20);
    socket.resetAndDestroy();
  };
  await leave('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await leave('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf');
  await sleep(100);
  expect(front.log).toEqual([]);
});
