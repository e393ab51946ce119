import { unpackEvidence } from '@countersign/protocol';
import {
  type FakeBroker,
  type Handler,
  sendProblem,
  startFakeBroker,
} from '@countersign/testkit/fake-broker';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { AttestError, attest } from './../page.ts';
import { createTransaction } from '../server.ts';
import { openFakePage } from './fake-page.ts';

const origin = 'https://sso.example.com';
const clientId = 'sso';
const nodeFetch = globalThis.fetch;
let broker: FakeBroker;

beforeAll(async () => {
  broker = await startFakeBroker({ clientId, origins: [origin], application: 'mail' });
});
afterAll(() => broker.stop());

beforeEach(() => {
  // A browser adds the origin itself.
  vi.stubGlobal('fetch', (url: URL, init: RequestInit) =>
    nodeFetch(url, { ...init, headers: { ...init.headers, Origin: location.origin } }),
  );
});
afterEach(() => vi.unstubAllGlobals());

const ask = (more: { timeoutMs?: number; signal?: AbortSignal; clientId?: string } = {}) =>
  attest({ brokerUrl: broker.url, clientId, transaction: createTransaction(), ...more });

const caught = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error) => error,
  );

describe('attest', () => {
  test('packs the challenge and the response of a managed browser', async () => {
    let response = '';
    openFakePage(origin, async ({ data, port }) => {
      port.postMessage({ type: 'received', version: 1 });
      const challenge = String(Object(data).challenge);
      response = await broker.respondAsManagedDevice(challenge);
      port.postMessage({ type: 'answer', ok: true, response });
    });
    const attestation = await ask();
    expect(attestation).toEqual({ evidence: attestation.evidence });
    const parts = unpackEvidence(attestation.evidence);
    expect(parts?.unverifiedResponse).toBe(response);
    expect(parts?.reportedUnavailable).toBeUndefined();
  });

  test('sends a request that needs no preflight', async () => {
    openFakePage(origin, () => undefined);
    await ask({ timeoutMs: 300 });
    const request = broker.requests.at(-1);
    expect(request).toMatchObject({ method: 'POST', path: '/v1/challenges' });
    expect(request?.headers['content-type']).toBe('text/plain');
    expect(Object.keys(JSON.parse(request?.body ?? ''))).toEqual(['client_id', 'transaction']);
    const written = Object.keys(request?.headers ?? {}).filter((name) => name.startsWith('x-'));
    expect(written).toEqual([]);
  });

  test('without an extension there is evidence that says so', async () => {
    openFakePage(origin, () => undefined);
    const attestation = await ask();
    expect(attestation.unavailable).toBe('extension_not_installed');
    const parts = unpackEvidence(attestation.evidence);
    expect(parts?.reportedUnavailable).toBe('extension_not_installed');
    expect(parts?.unverifiedResponse).toBeUndefined();
    expect(parts?.unverifiedChallenge).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
  });

  test('the refusal of the broker is the error', async () => {
    openFakePage('https://evil.example.com', () => undefined);
    const error = await caught(ask());
    expect(error).toBeInstanceOf(AttestError);
    expect(error).toMatchObject({ code: 'origin_not_registered', status: 403 });
    expect(error.userText).toContain('Do not enter your password here');
  });

  test.each([
    ['no JSON', 200, '<html>'],
    ['no challenge', 200, '{}'],
    ['null', 200, 'null'],
    ['a challenge that is no text', 200, '{"challenge":{}}'],
    ['a challenge that would break the evidence', 200, '{"challenge":"a~b"}'],
    ['a code that is unknown', 400, '{"code":"sorry"}'],
    ['a code of the prototype', 400, '{"code":"constructor"}'],
    ['a challenge with an error status', 500, '{"challenge":"a.b.c"}'],
    ['a problem with a status of success', 200, '{"code":"internal_error"}'],
    ['a proxy that answers in text', 502, 'Bad gateway'],
  ])('%s is broker_answer_malformed', async (_, status, body) => {
    const { posted } = openFakePage(origin, () => undefined);
    broker.interruptNext('/v1/challenges', (_request, response) => {
      response.writeHead(status).end(body);
    });
    expect(await caught(ask())).toMatchObject({ code: 'broker_answer_malformed', status });
    expect(posted).toEqual([]);
  });

  test('a request that is broken off once, at its beginning or in the answer, is made again', async () => {
    openFakePage(origin, () => undefined);
    for (const headers of [undefined, { 'Content-Length': '100' }]) {
      const before = broker.requests.length;
      broker.interruptNext('/v1/challenges', (_, response) => {
        if (headers !== undefined) response.writeHead(200, headers).write('{');
        setTimeout(() => response.destroy(), headers === undefined ? 0 : 50);
      });
      expect(await ask({ timeoutMs: 300 })).toMatchObject({
        unavailable: 'extension_not_installed',
      });
      expect(broker.requests.length - before).toBe(2);
    }
  });

  test('a broker that hangs up twice, redirects, cannot be found or is too slow is unreachable', async () => {
    openFakePage(origin, () => undefined);
    const twice = (handler: Handler) => {
      broker.interruptNext('/v1/challenges', handler);
      broker.interruptNext('/v1/challenges', handler);
    };
    twice((_, response) => void response.destroy());
    expect(await caught(ask())).toMatchObject({ code: 'broker_unreachable', status: undefined });

    twice((_, response) => {
      response.writeHead(307, { Location: `${broker.url}/v1/challenges` }).end();
    });
    expect(await caught(ask())).toMatchObject({ code: 'broker_unreachable' });

    broker.interruptNext('/v1/challenges', () => undefined);
    expect(await caught(ask({ timeoutMs: 50 }))).toMatchObject({ code: 'broker_unreachable' });

    const transaction = createTransaction();
    const nowhere = attest({ brokerUrl: 'not a url', clientId, transaction });
    expect(await caught(nowhere)).toMatchObject({ code: 'broker_unreachable' });
  });

  test('rate limiting and a broken broker keep their codes', async () => {
    openFakePage(origin, () => undefined);
    broker.interruptNext('/v1/challenges', (_, response) => {
      sendProblem(response, 429, 'rate_limited');
    });
    expect(await caught(ask())).toMatchObject({ code: 'rate_limited', status: 429 });
    broker.interruptNext('/v1/challenges', (_, response) => {
      sendProblem(response, 503, 'deployment_mismatch');
    });
    expect(await caught(ask())).toMatchObject({ code: 'deployment_mismatch', status: 503 });
  });

  test('an abort rejects with its reason and sends nothing when it comes first', async () => {
    openFakePage(origin, () => undefined);
    const reason = new Error('left');
    const before = broker.requests.length;
    expect(await caught(ask({ signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(broker.requests).toHaveLength(before);

    const controller = new AbortController();
    broker.interruptNext('/v1/challenges', () => controller.abort(reason));
    expect(await caught(ask({ signal: controller.signal }))).toBe(reason);
  });

  test('two at once do not hear each other', async () => {
    const ports: MessagePort[] = [];
    openFakePage(origin, ({ port }) => {
      port.postMessage({ type: 'received', version: 1 });
      if (ports.push(port) < 2) return;
      ports.forEach((each, index) => {
        each.postMessage({ type: 'answer', ok: true, response: `answer-${index}` });
      });
    });
    const attestations = await Promise.all([ask(), ask()]);
    const responses = attestations.map(
      ({ evidence }) => unpackEvidence(evidence)?.unverifiedResponse,
    );
    expect(responses.toSorted()).toEqual(['answer-0', 'answer-1']);
  });
});
