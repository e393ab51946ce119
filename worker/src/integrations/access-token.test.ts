import { describe, expect, it } from 'vitest';
import { AccessToken, askWithToken } from './access-token.ts';
import { mdmFailure } from './mdm-request.ts';

const minute = 60_000;

function issuer(lifetimeMs: number, nowMs: () => number) {
  let count = 0;
  return {
    obtain: async () => {
      count++;
      const token = `token ${count}`;
      await Promise.resolve();
      return { ok: true, value: { token, expiresAtMs: nowMs() + lifetimeMs } } as const;
    },
    count: () => count,
  };
}

describe('AccessToken', () => {
  it('is asked for once while it lasts, however many wait', async () => {
    let nowMs = 0;
    const { obtain, count } = issuer(minute, () => nowMs);
    const tokens = new AccessToken();
    const all = await Promise.all(Array.from({ length: 50 }, () => tokens.get(nowMs, obtain)));
    expect(new Set(all.map((token) => token.ok && token.value))).toEqual(new Set(['token 1']));
    nowMs = 39_000;
    await tokens.get(nowMs, obtain);
    expect(count()).toBe(1);
    nowMs = 40_000;
    expect(await tokens.get(nowMs, obtain)).toEqual({ ok: true, value: 'token 2' });
  });
});

describe('askWithToken', () => {
  it('replaces a refused token once', async () => {
    const { obtain, count } = issuer(minute, () => 0);
    const tokens = new AccessToken();
    const seen: string[] = [];
    const refuse = async (token: string) => {
      seen.push(token);
      return mdmFailure('credentials_refused', 'no');
    };
    expect(await askWithToken(tokens, 0, obtain, refuse)).toMatchObject({
      reason: 'credentials_refused',
    });
    expect(seen).toEqual(['token 1', 'token 2']);
    await askWithToken(tokens, 0, obtain, async () => mdmFailure('server_failed', 'no'));
    expect(count()).toBe(2);
  });
});
