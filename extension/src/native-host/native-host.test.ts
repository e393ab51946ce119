import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  createFakeBrowser,
  type FakeHost,
  failingHost,
  fakeChallenge,
  fakeResponse,
  healthyHost,
  healthyStatus,
  turn,
} from '../fake-browser.ts';
import { createNativeHost, maxAttestsInFlight } from './native-host.ts';

const question = { challenge: fakeChallenge, origin: 'https://sso.corp.test' };

function hostBehind(program: FakeHost) {
  const browser = createFakeBrowser(program);
  let count = 0;
  const host = createNativeHost(browser.runtime, () => `message-${++count}`);
  return { browser, host };
}

describe('a native host that answers', () => {
  it('gives the response, and got challenge and origin', async () => {
    const { browser, host } = hostBehind(healthyHost());
    expect(await host.attest(question)).toEqual({ ok: true, response: fakeResponse });
    expect(browser.nativeMessages).toEqual([
      { version: 1, id: 'message-1', type: 'attest', ...question },
    ]);
  });

  it('gives its status', async () => {
    const { host } = hostBehind(healthyHost());
    expect(await host.status()).toEqual({ ok: true, status: healthyStatus });
  });

  it('passes on the code of a refusal, also of one that does not know the id', async () => {
    for (const id of ['message-1', '']) {
      const { host } = hostBehind(() => ({
        version: 1,
        id,
        type: 'error',
        code: 'not_enrolled',
        detail: 'no certificate',
      }));
      expect(await host.attest(question)).toEqual({
        ok: false,
        code: 'not_enrolled',
        detail: 'no certificate',
      });
    }
  });
});

describe('a native host that answers wrongly', () => {
  const good = { version: 1, id: 'message-1', type: 'attest', response: fakeResponse };
  it.each<[problem: string, answer: unknown, detail: string]>([
    ['nothing', undefined, '(body)'],
    ['text', 'hello', '(body)'],
    ['another id', { ...good, id: 'message-2' }, 'id'],
    ['an empty id', { ...good, id: '' }, 'id'],
    ['another type', { ...good, type: 'status', status: healthyStatus }, 'type'],
    ['an unknown type', { ...good, type: 'signature' }, 'type'],
    ['a response that is no JWE', { ...good, response: fakeChallenge }, 'response'],
    [
      'a response that is too long',
      { ...good, response: `a..b.${'c'.repeat(20_000)}.d` },
      'response',
    ],
    ['an unknown code', { ...good, type: 'error', code: 'no', detail: '' }, 'code'],
  ])('is refused for %s', async (_, answer, detail) => {
    const { host } = hostBehind(() => answer);
    expect(await host.attest(question)).toMatchObject({
      ok: false,
      code: 'host_answer_malformed',
      detail: expect.stringContaining(detail),
    });
  });

  it('is told from one of another version', async () => {
    const { host } = hostBehind(() => ({ ...good, version: 2 }));
    expect(await host.attest(question)).toMatchObject({
      ok: false,
      code: 'host_version_unsupported',
    });
  });
});

describe('a native host that does not answer', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
  afterEach(() => void vi.useRealTimers());

  it('gives the code of the browser’s words', async () => {
    const { host } = hostBehind(failingHost('Native host has exited.'));
    expect(await host.attest(question)).toEqual({
      ok: false,
      code: 'host_exited',
      detail: 'Native host has exited.',
    });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('times out after 10 seconds and not before', async () => {
    const { host } = hostBehind(() => new Promise(() => undefined));
    const settled = vi.fn();
    const answer = host.status().then((value) => {
      settled();
      return value;
    });
    await vi.advanceTimersByTimeAsync(9_999);
    expect(settled).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(await answer).toMatchObject({ ok: false, code: 'host_timeout' });
  });
});

describe('a page that asks without end', () => {
  /** A browser whose host processes end when the test says so. */
  function heldHost() {
    const held: { readonly end: () => void; readonly fail: () => void }[] = [];
    const { browser, host } = hostBehind(
      (request) =>
        new Promise((resolve, reject) => {
          const end = () => resolve(healthyHost()(request));
          const fail = () => reject(new Error('Native host has exited.'));
          held.push({ end, fail });
        }),
    );
    const started = () => browser.nativeMessages.filter(({ type }) => type === 'attest').length;
    return { host, held, started };
  }
  const refusal = { ok: false, code: 'extension_error', detail: expect.stringContaining('4 ') };

  it('has four questions with the host, and each further one is refused at once', async () => {
    const { host, held, started } = heldHost();
    const answers = Array.from({ length: maxAttestsInFlight }, () => host.attest(question));
    for (let count = 0; count < 50; count++) {
      expect(await host.attest(question)).toEqual(refusal);
    }
    await turn();
    expect(maxAttestsInFlight).toBe(4);
    expect(started()).toBe(4);
    for (const { end } of held) end();
    expect(await Promise.all(answers)).toEqual(
      answers.map(() => ({ ok: true, response: fakeResponse })),
    );
  });

  it('is answered again for each process that ended, whatever it ended with', async () => {
    const { host, held, started } = heldHost();
    const answers = Array.from({ length: 4 }, () => host.attest(question));
    await turn();
    held[0]?.end();
    held[1]?.fail();
    expect(await answers[0]).toMatchObject({ ok: true });
    expect(await answers[1]).toMatchObject({ code: 'host_exited' });
    const more = [host.attest(question), host.attest(question)];
    expect(await host.attest(question)).toEqual(refusal);
    await turn();
    expect(started()).toBe(6);
    for (const { end } of held) end();
    expect(await Promise.all(more)).toMatchObject([{ ok: true }, { ok: true }]);
  });

  it('does not get round it with processes that never answer', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { host, held, started } = heldHost();
    const answers = Array.from({ length: 4 }, () => host.attest(question));
    await vi.advanceTimersByTimeAsync(10_000);
    vi.useRealTimers();
    for (const answer of answers) expect(await answer).toMatchObject({ code: 'host_timeout' });
    expect(await host.attest(question)).toEqual(refusal);
    expect(started()).toBe(4);
    held[2]?.fail();
    await turn();
    const next = host.attest(question);
    await turn();
    expect(started()).toBe(5);
    held[4]?.end();
    expect(await next).toMatchObject({ ok: true });
  });

  it('does not keep the popup from the status', async () => {
    const { host, held } = heldHost();
    const answers = Array.from({ length: 4 }, () => host.attest(question));
    const status = host.status();
    await turn();
    held[4]?.end();
    expect(await status).toMatchObject({ ok: true });
    for (const { end } of held) end();
    await Promise.all(answers);
  });
});
