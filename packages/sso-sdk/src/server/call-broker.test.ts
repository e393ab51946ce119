import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Handler, sendJson, sendProblem } from '@countersign/testkit/fake-broker';
import { describe, expect, test, vi } from 'vitest';
import { callBroker } from './call-broker.ts';
import { clientSecret, useFakeBroker } from './testing/use-fake-broker.ts';

const evaluation = '/access/v1/evaluation';
const { current: broker, client, signIn, evaluations } = useFakeBroker();

describe('retry', () => {
  test.each<[string, Handler]>([
    ['a connection that breaks', (_, response) => void response.destroy()],
    ['a 503', (_, response) => sendProblem(response, 503, 'storage_unavailable')],
    ['a 503 of a proxy', (_, response) => void response.writeHead(503).end('busy')],
    [
      'an answer that is cut off',
      (_, response) => {
        response.writeHead(200, { 'Content-Length': '1000' });
        response.write('{"decision":', () => response.destroy());
      },
    ],
  ])('after %s sends the same bytes once more', async (_, handler) => {
    broker().interruptNext(evaluation, handler);
    expect((await client().evaluate(await signIn())).decision).toBe(true);
    const [first, second] = evaluations();
    expect(evaluations()).toHaveLength(2);
    expect(second?.body).toBe(first?.body);
    expect(second?.headers['x-request-id']).toBe(first?.headers['x-request-id']);
  });

  test('gives up after the second failure', async () => {
    const hangUp: Handler = (_, response) => void response.destroy();
    broker().interruptNext(evaluation, hangUp);
    broker().interruptNext(evaluation, hangUp);
    await expect(client().evaluate(await signIn())).rejects.toMatchObject({
      code: 'broker_unreachable',
    });
    const busy: Handler = (_, response) => sendProblem(response, 503, 'storage_unavailable');
    broker().interruptNext(evaluation, busy);
    broker().interruptNext(evaluation, busy);
    await expect(client().evaluate(await signIn())).rejects.toMatchObject({
      code: 'storage_unavailable',
      status: 503,
    });
    expect(evaluations()).toHaveLength(4);
  });

  test('does not repeat a refusal', async () => {
    const wrong = client({ authentication: { clientSecret: 'wrong' } });
    await expect(wrong.evaluate(await signIn())).rejects.toMatchObject({
      code: 'client_authentication_failed',
    });
    expect(evaluations()).toHaveLength(1);
  });
});

describe('stops when the time is up', () => {
  /** One call whose time is up when the test says so, and how often it sent. */
  function startCall(fetch: typeof globalThis.fetch) {
    let sent = 0;
    const counting: typeof fetch = (...request) => {
      sent += 1;
      return fetch(...request);
    };
    const deadline = new AbortController();
    const connection = { url: broker().url, fetch: counting, authorize: async () => 'Basic x' };
    const answer = callBroker(connection, evaluation, '{}', deadline.signal, 'request-1');
    return { answer, timeIsUp: () => deadline.abort(), sent: () => sent };
  }

  test('while it waits for an answer', async () => {
    const reached = Promise.withResolvers<void>();
    broker().interruptNext(evaluation, () => reached.resolve());
    const { answer, timeIsUp, sent } = startCall(fetch);
    const refused = expect(answer).rejects.toMatchObject({ code: 'broker_timeout' });
    await reached.promise;
    timeIsUp();
    await refused;
    expect(sent()).toBe(1);
  });

  test('in the middle of an answer', async () => {
    broker().interruptNext(evaluation, (_, response) => {
      response.writeHead(200);
      response.write('{');
    });
    const begun = Promise.withResolvers<void>();
    const { answer, timeIsUp, sent } = startCall(async (...request) => {
      const response = await fetch(...request);
      begun.resolve();
      return response;
    });
    const refused = expect(answer).rejects.toMatchObject({ code: 'broker_timeout' });
    await begun.promise;
    timeIsUp();
    await refused;
    expect(sent()).toBe(1);
  });

  test('in the pause before it would try again', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const problem = { type: 'x', title: 'x', status: 503, code: 'storage_unavailable' };
      const busy = async () => Response.json(problem, { status: 503 });
      const { answer, timeIsUp, sent } = startCall(busy);
      const refused = expect(answer).rejects.toMatchObject({ code: 'storage_unavailable' });
      while (vi.getTimerCount() === 0) await nextTurn();
      timeIsUp();
      await refused;
      expect([sent(), vi.getTimerCount()]).toEqual([1, 0]);
    } finally {
      vi.useRealTimers();
    }
  });

  test('that the client was given', async () => {
    broker().interruptNext(evaluation, () => undefined);
    const waiting = client({ timeoutMs: 400 }).evaluate(await signIn());
    await expect(waiting).rejects.toMatchObject({ code: 'broker_timeout' });
  });
});

describe('answers that are not understood', () => {
  test.each<[string, Handler]>([
    ['nothing', (_, response) => void response.end()],
    ['a web page', (_, response) => void response.end('<html>')],
    ['a number', (_, response) => sendJson(response, 200, 7)],
    ['no context', (_, response) => sendJson(response, 200, { decision: true })],
    ['a problem of unknown code', (_, response) => sendJson(response, 400, { code: 'sorry' })],
    ['an answer of 201', (_, response) => sendJson(response, 201, { decision: true })],
    ['a redirect', (_, response) => void response.writeHead(307, { Location: '/elsewhere' }).end()],
    [
      'a megabyte',
      (_, response) => {
        const context = {
          reason_code: 'policy_denied',
          reason_admin: { en: 'x'.repeat(1_000_000) },
          reason_user: { en: '' },
          decision_id: '0.1',
          policy: { version: 1, rule: 'default_deny' },
          device_trusted: false,
        };
        sendJson(response, 200, { decision: false, context });
      },
    ],
  ])('%s', async (_, handler) => {
    broker().interruptNext(evaluation, handler);
    await expect(client().evaluate(await signIn())).rejects.toMatchObject({
      name: 'CountersignError',
      code: 'broker_answer_malformed',
    });
    expect(evaluations()).toHaveLength(1);
  });

  test('a problem document becomes the error, with the field and the text for the person', async () => {
    broker().interruptNext(evaluation, (_, response) => {
      sendProblem(response, 400, 'field_invalid', 'subject.id');
    });
    await expect(client().evaluate(await signIn())).rejects.toMatchObject({
      code: 'field_invalid',
      status: 400,
      field: 'subject.id',
      userText: 'Ask your IT support for help and tell them the code below.',
      requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
  });
});

test('errors carry neither secret nor evidence', async () => {
  broker().interruptNext(evaluation, (_, response) => sendProblem(response, 500, 'internal_error'));
  const input = await signIn();
  const error = await client()
    .evaluate(input)
    .catch((reason) => reason);
  const shown = `${error}${error.stack}${JSON.stringify(error)}${JSON.stringify(error.cause)}`;
  for (const secret of [clientSecret, input.evidence, input.transaction]) {
    expect(shown).not.toContain(secret);
  }
});
