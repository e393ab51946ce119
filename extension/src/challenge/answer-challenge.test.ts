import { describe, expect, it, vi } from 'vitest';
import { fakeChallenge, fakeResponse } from '../fake-browser.ts';
import { answerChallenge } from './answer-challenge.ts';
import { senderFactsOf } from './sender-facts.ts';

const allowed = ['https://sso.corp.test:8443', 'http://localhost:8790'];
const topFrame = {
  origin: 'https://sso.corp.test:8443',
  url: 'https://sso.corp.test:8443/login',
  frameId: 0,
  documentLifecycle: 'active',
};

function ask(sender: unknown, challenge = fakeChallenge) {
  const attest = vi.fn(async (_question: object) => ({
    ok: true as const,
    response: fakeResponse,
  }));
  const answer = answerChallenge(challenge, senderFactsOf(sender), allowed, { attest });
  return { attest, answer };
}

describe('answerChallenge', () => {
  it('asks the host with the origin that the browser reports', async () => {
    const { attest, answer } = ask(topFrame);
    expect(await answer).toEqual({ ok: true, response: fakeResponse });
    expect(attest.mock.calls).toEqual([
      [{ challenge: fakeChallenge, origin: 'https://sso.corp.test:8443' }],
    ]);
  });

  it('does without a document lifecycle, which Firefox does not report', async () => {
    const { documentLifecycle: _, ...sender } = topFrame;
    expect(await ask(sender).answer).toMatchObject({ ok: true });
  });

  it.each<[who: string, sender: unknown, code: string]>([
    ['a frame of the allowed origin', { ...topFrame, frameId: 5 }, 'extension_frame_not_allowed'],
    ['no frame at all', { ...topFrame, frameId: undefined }, 'extension_frame_not_allowed'],
    ['a frame id of the wrong type', { ...topFrame, frameId: '0' }, 'extension_frame_not_allowed'],
    [
      'a prerendered page',
      { ...topFrame, documentLifecycle: 'prerender' },
      'extension_frame_not_allowed',
    ],
    ['a cached page', { ...topFrame, documentLifecycle: 'cached' }, 'extension_frame_not_allowed'],
    [
      'another port of the host',
      { ...topFrame, origin: 'https://sso.corp.test' },
      'extension_origin_not_allowed',
    ],
    [
      'another scheme',
      { ...topFrame, origin: 'http://sso.corp.test:8443' },
      'extension_origin_not_allowed',
    ],
    [
      'a name that only begins the same',
      { ...topFrame, origin: 'https://sso.corp.test:8443.evil.test' },
      'extension_origin_not_allowed',
    ],
    [
      'an opaque origin at the right address',
      { ...topFrame, origin: 'null' },
      'extension_origin_not_allowed',
    ],
    ['no origin', { ...topFrame, origin: undefined }, 'extension_origin_not_allowed'],
    ['nobody', undefined, 'extension_frame_not_allowed'],
  ])('refuses %s and leaves the host alone', async (_, sender, code) => {
    const { attest, answer } = ask(sender);
    expect(await answer).toMatchObject({ ok: false, code });
    expect(attest).not.toHaveBeenCalled();
  });

  it.each<[problem: string, challenge: string]>([
    ['empty', ''],
    ['two parts', 'a.b'],
    ['a JWE', fakeResponse],
    ['other characters', 'a.b.c d'],
    ['too long', `a.${'b'.repeat(8192)}.c`],
  ])('refuses a challenge that is %s', async (_, challenge) => {
    const { attest, answer } = ask(topFrame, challenge);
    expect(await answer).toMatchObject({ ok: false, code: 'challenge_malformed' });
    expect(attest).not.toHaveBeenCalled();
  });
});
