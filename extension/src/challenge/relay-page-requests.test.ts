import { pageMessageType, pageMessageVersion } from '@countersign/protocol';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fakeChallenge, fakeResponse, turn } from '../fake-browser.ts';
import {
  type PageMessageEvent,
  type PageWindow,
  relayPageRequests,
} from './relay-page-requests.ts';

const request = { type: pageMessageType, version: pageMessageVersion, challenge: fakeChallenge };
const received = { type: 'received', version: pageMessageVersion };

/** A page with the content script in it, whose background answers with `answer`. */
function pageWith(answer: (request: object) => unknown, top?: object) {
  const listeners: ((event: PageMessageEvent) => void)[] = [];
  const page: PageWindow = {
    get top() {
      return top ?? page;
    },
    addEventListener: (_type, listener) => void listeners.push(listener),
  };
  const askBackground = vi.fn(async (asked: object) => answer(asked));
  let there = true;
  relayPageRequests(page, { ask: askBackground, isThere: () => there });
  return {
    page,
    askBackground,
    /** The extension is updated or removed. */
    cutOff: () => {
      there = false;
    },
    /** Posts a message and gives everything that came back on its port. */
    async post(data: unknown, source: unknown = page, withPort = true) {
      const replies: unknown[] = [];
      const port = { postMessage: (reply: unknown) => void replies.push(reply), close: vi.fn() };
      for (const listener of listeners) listener({ data, source, ports: withPort ? [port] : [] });
      await turn();
      return {
        replies,
        get closed() {
          return port.close.mock.calls.length === 1;
        },
      };
    },
  };
}

describe('the content script', () => {
  it('confirms at once and then answers on the port', async () => {
    const answer = { type: 'answer', ok: true, response: fakeResponse };
    const { post, askBackground } = pageWith(() => answer);
    expect(await post(request)).toMatchObject({ replies: [received, answer], closed: true });
    expect(askBackground).toHaveBeenCalledWith(request);
  });

  it('confirms before the background has answered', async () => {
    const { post } = pageWith(() => new Promise(() => undefined));
    expect(await post(request)).toMatchObject({ replies: [received], closed: false });
  });

  it('passes a refusal on', async () => {
    const { post } = pageWith(() => ({ type: 'answer', ok: false, code: 'host_exited' }));
    expect((await post(request)).replies[1]).toEqual({
      type: 'answer',
      ok: false,
      code: 'host_exited',
    });
  });

  it.each<[what: string, answer: () => unknown]>([
    ['nothing', () => undefined],
    ['an unknown code', () => ({ type: 'answer', ok: false, code: 'because' })],
    ['a confirmation', () => received],
    [
      'an exception',
      () => {
        throw new Error('Extension context invalidated.');
      },
    ],
  ])('answers extension_error when the background gives %s', async (_, answer) => {
    const { post } = pageWith(answer);
    expect((await post(request)).replies[1]).toEqual({
      type: 'answer',
      ok: false,
      code: 'extension_error',
    });
  });

  it('asks once more when the background was stopped meanwhile', async () => {
    const answer = { type: 'answer', ok: true, response: fakeResponse };
    let stops = 1;
    const { post, askBackground } = pageWith(() => {
      if (stops-- > 0) throw new Error('The message channel closed before a response was received');
      return answer;
    });
    expect((await post(request)).replies).toEqual([received, answer]);
    expect(askBackground).toHaveBeenCalledTimes(2);
  });

  it('asks no third time', async () => {
    const { post, askBackground } = pageWith(() => {
      throw new Error('The message channel closed before a response was received');
    });
    expect((await post(request)).replies[1]).toMatchObject({ code: 'extension_error' });
    expect(askBackground).toHaveBeenCalledTimes(2);
  });

  it('does not pass on a challenge beyond the limit', async () => {
    const { post, askBackground } = pageWith(() => undefined);
    const { replies } = await post({ ...request, challenge: 'x'.repeat(8193) });
    expect(replies[1]).toEqual({ type: 'answer', ok: false, code: 'challenge_malformed' });
    expect(askBackground).not.toHaveBeenCalled();
  });

  it.each<[what: string, data: unknown]>([
    ['text', 'hello'],
    ['another type', { ...request, type: 'other' }],
    ['another version', { ...request, version: 2 }],
    ['no challenge', { ...request, challenge: 1 }],
  ])('is silent on %s', async (_, data) => {
    const { post } = pageWith(() => expect.unreachable());
    expect((await post(data)).replies).toEqual([]);
  });

  it('is silent towards other windows, and without a port', async () => {
    const { post, page, askBackground } = pageWith(() => expect.unreachable());
    expect((await post(request, { another: 'window' })).replies).toEqual([]);
    expect((await post(request, null)).replies).toEqual([]);
    await post(request, page, false);
    expect(askBackground).not.toHaveBeenCalled();
  });

  it('does not listen inside a frame', async () => {
    const { post } = pageWith(() => expect.unreachable(), { another: 'window' });
    expect((await post(request)).replies).toEqual([]);
  });
});

describe('the content script of an extension that was updated', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
  afterEach(() => void vi.useRealTimers());

  it('leaves the page to its successor', async () => {
    const { post, cutOff, askBackground } = pageWith(() => expect.unreachable());
    cutOff();
    expect(await post(request)).toMatchObject({ replies: [], closed: false });
    expect(askBackground).not.toHaveBeenCalled();
  });

  it('says so to the page that is waiting', async () => {
    const { post, cutOff } = pageWith(() => new Promise(() => undefined));
    const posted = await post(request);
    await vi.advanceTimersByTimeAsync(1000);
    expect(posted.replies).toEqual([received]);
    cutOff();
    await vi.advanceTimersByTimeAsync(250);
    expect(posted.replies).toEqual([
      received,
      { type: 'answer', ok: false, code: 'extension_error' },
    ]);
    expect(posted.closed).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });
});
