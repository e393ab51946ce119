import { createServer, type Server, type ServerResponse } from 'node:http';
import { listenOnFreePort } from '@countersign/testkit/listen-on-free-port';
import { afterEach, describe, expect, it } from 'vitest';
import { callBroker } from './call-broker.ts';

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** Calls a broker that answers like this. */
async function call(answer: (response: ServerResponse) => void, timeoutMs = 10_000) {
  server = createServer((_, response) => answer(response));
  const brokerUrl = `http://127.0.0.1:${await listenOnFreePort(server)}`;
  return callBroker({ brokerUrl, method: 'POST', path: '/path', body: { a: 1 }, timeoutMs });
}

const answerText = (status: number, text: string) => (response: ServerResponse) => {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(text);
};
const problem = {
  type: 'about:blank',
  title: 'The token was spent',
  status: 409,
  code: 'enrollment_token_spent',
};

describe('callBroker', () => {
  it('gives the JSON of an answer', async () => {
    expect(await call(answerText(201, '{"a":[1]}'))).toEqual({ ok: true, value: { a: [1] } });
  });

  it('gives the problem document of a refusal', async () => {
    expect(
      await call(answerText(409, JSON.stringify({ ...problem, detail: 'yesterday' }))),
    ).toEqual({
      ok: false,
      reason: 'broker_refused',
      detail: 'The token was spent: yesterday',
      problem: { ...problem, detail: 'yesterday' },
    });
  });

  it.each([
    ['no JSON', answerText(200, '<html>')],
    ['a repeated member', answerText(200, '{"a":1,"a":2}')],
    [
      'bytes that are not UTF-8',
      (response: ServerResponse) => response.end(Buffer.from([0x22, 0xff])),
    ],
    [
      'a redirect',
      (response: ServerResponse) => {
        response.writeHead(307, { Location: 'https://evil.example.com/' });
        response.end();
      },
    ],
    ['a refusal without a problem document', answerText(400, '{"error":"no"}')],
    ['more than fits', answerText(200, JSON.stringify('a'.repeat(70_000)))],
    ['more than fits, as a refusal', answerText(400, JSON.stringify('a'.repeat(70_000)))],
  ])('calls %s malformed', async (_, answer) => {
    expect(await call(answer)).toMatchObject({ ok: false, reason: 'broker_answer_malformed' });
  });

  it('stops reading an answer without end', async () => {
    let written = 0;
    const endless = (response: ServerResponse) => {
      const more = () => {
        written += 1;
        if (!response.destroyed) response.write(Buffer.alloc(16 * 1024), () => setImmediate(more));
      };
      more();
    };
    expect(await call(endless)).toMatchObject({ reason: 'broker_answer_malformed' });
    expect(written).toBeLessThan(1000);
  });

  it.each([
    ['silence', () => undefined, 'no answer in time', 200],
    [
      'half an answer',
      (response: ServerResponse) => response.write('{"a":'),
      'no answer in time',
      200,
    ],
    ['a cut connection', (response: ServerResponse) => response.destroy(), 'UND_ERR_SOCKET'],
    ['an overload', answerText(503, 'busy'), 'answered 503'],
    ['a gateway that found nobody', answerText(502, '<html>'), 'answered 502'],
  ])('calls %s unreachable', async (_, answer, detail, timeoutMs?: number) => {
    expect(await call(answer, timeoutMs)).toEqual({
      ok: false,
      reason: 'broker_unreachable',
      detail: expect.stringContaining(detail),
    });
  });
});
