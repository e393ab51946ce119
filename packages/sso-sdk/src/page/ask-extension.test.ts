import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { askExtension } from './ask-extension.ts';
import { closed, openFakePage, type PageMessage } from './fake-page.ts';

const origin = 'https://sso.example.com';
const received = { type: 'received', version: 1 };
const answer = { type: 'answer', ok: true, response: 'a.b.c.d.e' };

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** A content script that sends these replies at once and keeps its port. */
function openPage(...replies: unknown[]) {
  const messages: PageMessage[] = [];
  const page = openFakePage(origin, (message) => {
    messages.push(message);
    for (const reply of replies) message.port.postMessage(reply);
  });
  return { ...page, messages };
}

/** Lets messages arrive, which are tasks of the event loop and no timers. */
async function letMessagesArrive() {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** What the promise came to, or `waiting`. */
async function stateOf<Value>(promise: Promise<Value>) {
  await letMessagesArrive();
  return Promise.race([promise, Promise.resolve('waiting')]);
}

describe('askExtension', () => {
  test('posts the challenge to its own origin alone and returns the response', async () => {
    const page = openPage(received, answer);
    expect(await askExtension('challenge', 15_000, undefined)).toEqual({
      type: 'answer',
      ok: true,
      response: 'a.b.c.d.e',
    });
    const data = { type: 'countersign.attest', version: 1, challenge: 'challenge' };
    expect(page.posted).toEqual([{ data, targetOrigin: origin }]);
  });

  test('passes on why there is no response', async () => {
    openPage(received, { type: 'answer', ok: false, code: 'host_not_installed' });
    expect(await askExtension('challenge', 15_000, undefined)).toEqual({
      type: 'answer',
      ok: false,
      code: 'host_not_installed',
    });
  });

  test('takes an answer without "received" before it', async () => {
    openPage(answer);
    expect(await askExtension('challenge', 15_000, undefined)).toMatchObject({ ok: true });
  });

  test('knows after 500 ms that nobody listens', async () => {
    openPage();
    const asked = askExtension('challenge', 15_000, undefined);
    vi.advanceTimersByTime(499);
    expect(await stateOf(asked)).toBe('waiting');
    vi.advanceTimersByTime(1);
    expect(await asked).toEqual({ ok: false, code: 'extension_not_installed' });
  });

  test('waits for a slow extension until the time is up, however often it says "received"', async () => {
    const page = openPage(received);
    const asked = askExtension('challenge', 15_000, undefined);
    await letMessagesArrive();
    vi.advanceTimersByTime(14_000);
    page.messages[0]?.port.postMessage(received);
    expect(await stateOf(asked)).toBe('waiting');
    vi.advanceTimersByTime(1_000);
    expect(await asked).toEqual({ ok: false, code: 'extension_timeout' });
  });

  test('a time shorter than 500 ms still tells a missing extension from a slow one', async () => {
    openPage();
    const missing = askExtension('challenge', 100, undefined);
    vi.advanceTimersByTime(100);
    expect(await missing).toEqual({ ok: false, code: 'extension_not_installed' });
    openPage(received);
    const slow = askExtension('challenge', 100, undefined);
    await letMessagesArrive();
    vi.advanceTimersByTime(100);
    expect(await slow).toEqual({ ok: false, code: 'extension_timeout' });
  });

  test('the first of two answers counts', async () => {
    openPage(received, answer, { ...answer, response: 'x.y.z.x.y' });
    expect(await askExtension('challenge', 15_000, undefined)).toMatchObject({
      response: 'a.b.c.d.e',
    });
  });

  test.each([
    ['null', null],
    ['a string', 'answer'],
    ['an unknown type', { type: 'hello' }],
    ['an answer without response', { type: 'answer', ok: true }],
    ['a response that is no text', { type: 'answer', ok: true, response: 7 }],
    ['a response that would break the evidence', { ...answer, response: 'a~b' }],
    ['an empty response', { ...answer, response: '' }],
    ['an unknown code', { type: 'answer', ok: false, code: 'sorry' }],
    ['ok as a string', { ...answer, ok: 'true' }],
  ])('%s is passed over for a good answer, and alone is an error', async (_, malformed) => {
    openPage(malformed, received, answer);
    expect(await askExtension('challenge', 15_000, undefined)).toMatchObject({ ok: true });

    openPage(malformed);
    const early = askExtension('challenge', 15_000, undefined);
    await letMessagesArrive();
    vi.advanceTimersByTime(500);
    expect(await early).toEqual({ ok: false, code: 'extension_error' });

    openPage(received, malformed);
    const late = askExtension('challenge', 15_000, undefined);
    await letMessagesArrive();
    vi.advanceTimersByTime(15_000);
    expect(await late).toEqual({ ok: false, code: 'extension_error' });
  });

  test('closes its port with the answer', async () => {
    const page = openPage(received, answer);
    await askExtension('challenge', 15_000, undefined);
    const port = page.messages[0]?.port;
    expect(port).toBeDefined();
    if (port) await closed(port);
  });

  test('a window that refuses the message is an error of the extension path', async () => {
    openPage();
    vi.stubGlobal('window', {
      postMessage() {
        throw new DOMException('Invalid target origin', 'SyntaxError');
      },
    });
    expect(await askExtension('challenge', 15_000, undefined)).toEqual({
      ok: false,
      code: 'extension_error',
    });
  });

  test('an abort rejects with its reason, before and while waiting', async () => {
    const page = openPage(received);
    const reason = new Error('the person went on without');
    await expect(askExtension('challenge', 15_000, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(page.posted).toEqual([]);

    const controller = new AbortController();
    const asked = askExtension('challenge', 15_000, controller.signal);
    await letMessagesArrive();
    const port = page.messages[0]?.port;
    const portClosed = port && closed(port);
    controller.abort(reason);
    await expect(asked).rejects.toBe(reason);
    await portClosed;
    expect(portClosed).toBeDefined();
  });
});
