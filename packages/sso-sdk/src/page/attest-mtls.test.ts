import { unpackEvidence } from '@countersign/protocol';
import {
  type FakeBroker,
  type Handler,
  type ReceivedRequest,
  startFakeBroker,
} from '@countersign/testkit/fake-broker';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { attest } from './../page.ts';
import { openFakePage } from './fake-page.ts';

const origin = 'https://sso.example.com';
const nodeFetch = globalThis.fetch;
let broker: FakeBroker;
let sent: RequestInit[] = [];

beforeAll(async () => {
  broker = await startFakeBroker({ clientId: 'sso', origins: [origin], application: 'mail' });
});
afterAll(() => broker.stop());
beforeEach(() => {
  sent = [];
  vi.stubGlobal('fetch', (url: URL, init: RequestInit) => {
    sent.push(init);
    return nodeFetch(url, { ...init, headers: { ...init.headers, Origin: location.origin } });
  });
});
afterEach(() => vi.unstubAllGlobals());

const ask = (signal?: AbortSignal) =>
  attest({
    brokerUrl: broker.url,
    clientId: 'sso',
    transaction: 'transaction-0123456789',
    ...(signal === undefined ? {} : { signal }),
  });

/** The broker's answers to the next `attest()`. */
function brokerAnswers(mtlsUrl: unknown, mtls?: Handler): void {
  broker.interruptNext('/v1/challenges', (_request, response) => {
    response.end(JSON.stringify({ challenge: 'a.b.c', expires_in_seconds: 60, mtls_url: mtlsUrl }));
  });
  if (mtls !== undefined) broker.interruptNext('/v1/mtls-evidence', mtls);
}

const evidenceAnswer: Handler = (_request, response) => {
  response.end('{"evidence":"m.t.l.s"}');
};
const hang: Handler = () => undefined;

const answerByExtension = () =>
  openFakePage(origin, ({ port }) => {
    port.postMessage({ type: 'received', version: 1 });
    port.postMessage({ type: 'answer', ok: true, response: 'r.e.s.p' });
  });
const noExtension = () => openFakePage(origin, () => undefined);

describe('attest, where the broker has an mTLS address', () => {
  test('packs both kinds of evidence', async () => {
    answerByExtension();
    brokerAnswers(broker.url, evidenceAnswer);
    const { evidence, unavailable } = await ask();
    expect(evidence).toBe('v1~a.b.c~r.e.s.p~m.t.l.s~');
    expect(unavailable).toBeUndefined();
  });

  test('needs no extension, and says which one was missing', async () => {
    noExtension();
    brokerAnswers(broker.url, evidenceAnswer);
    const { evidence, unavailable } = await ask();
    expect(evidence).toBe('v1~a.b.c~~m.t.l.s~extension_not_installed');
    expect(unavailable).toBeUndefined();
  });

  test('asks with credentials and without a preflight', async () => {
    noExtension();
    let received: ReceivedRequest | undefined;
    brokerAnswers(broker.url, (request, response) => {
      received = request;
      response.end('{"evidence":"m.t.l.s"}');
    });
    await ask();
    expect(sent.map(({ credentials }) => credentials)).toEqual(['omit', 'include']);
    expect(received).toMatchObject({ method: 'POST', body: '{"challenge":"a.b.c"}' });
    expect(received?.headers['content-type']).toBe('text/plain');
    const written = Object.keys(received?.headers ?? {}).filter((name) => name.startsWith('x-'));
    expect(written).toEqual([]);
  });

  test.each<[string, Handler]>([
    ['refuses', (_, response) => void response.writeHead(403).end('{"evidence":"m.t.l.s"}')],
    ['hangs up', (_, response) => void response.destroy()],
    ['answers no JSON', (_, response) => void response.end('<html>')],
    ['answers null', (_, response) => void response.end('null')],
    ['answers nothing', (_, response) => void response.end('{}')],
    [
      'answers what would break the evidence',
      (_, response) => void response.end('{"evidence":"a~b"}'),
    ],
    [
      'sends the page elsewhere',
      (_, response) => void response.writeHead(307, { Location: broker.url }).end(),
    ],
  ])('an address that %s is no error', async (_what, handler) => {
    answerByExtension();
    brokerAnswers(broker.url, handler);
    expect((await ask()).evidence).toBe('v1~a.b.c~r.e.s.p~~');
    noExtension();
    brokerAnswers(broker.url, handler);
    const { evidence, unavailable } = await ask();
    expect(unpackEvidence(evidence)?.unverifiedMtlsEvidence).toBeUndefined();
    expect(unavailable).toBe('extension_not_installed');
  });

  test.each(['http://mtls.example.com', 'javascript:alert(1)', '/', '', 7, null])(
    'asks nobody at %j',
    async (mtlsUrl) => {
      answerByExtension();
      brokerAnswers(mtlsUrl);
      expect((await ask()).evidence).toBe('v1~a.b.c~r.e.s.p~~');
      expect(sent).toHaveLength(1);
    },
  );

  test('does not wait for it much longer than for the extension', async () => {
    answerByExtension();
    brokerAnswers(broker.url, hang);
    const began = performance.now();
    expect((await ask()).evidence).toBe('v1~a.b.c~r.e.s.p~~');
    expect(performance.now() - began).toBeLessThan(2_000);
    expect(sent.at(-1)?.signal?.aborted).toBe(true);
  });

  test('waits a few seconds at most without an extension', async () => {
    noExtension();
    brokerAnswers(broker.url, hang);
    const began = performance.now();
    expect((await ask()).unavailable).toBe('extension_not_installed');
    const tookMs = performance.now() - began;
    expect(tookMs).toBeGreaterThan(3_000);
    expect(tookMs).toBeLessThan(8_000);
  });

  test('an abort ends both', async () => {
    const reason = new Error('left');
    const controller = new AbortController();
    answerByExtension();
    brokerAnswers(broker.url, () => controller.abort(reason));
    await expect(ask(controller.signal)).rejects.toBe(reason);
    expect(sent.at(-1)?.signal?.aborted).toBe(true);
  });
});
