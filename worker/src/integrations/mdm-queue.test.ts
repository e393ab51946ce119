import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MdmQueue } from './mdm-queue.ts';
import { type MdmFailure, type MdmResult, mdmFailure } from './mdm-request.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const limits = { concurrent: 2, waiting: 3, waitMs: 1000 };
const newQueue = () => new MdmQueue(Date.now, limits);
const ok = { ok: true, value: 'asked' } as const;
const fail = (reason: MdmFailure['reason'], retryAfterSeconds?: number) => async () =>
  mdmFailure(reason, 'no', retryAfterSeconds);

/** Questions that are answered when the test says so. */
function heldQuestions() {
  const held: Array<(answer: MdmResult<string>) => void> = [];
  const ask = () => new Promise<MdmResult<string>>((resolve) => held.push(resolve));
  return { held, ask };
}

describe('MdmQueue', () => {
  it('asks a few at a time, lets some wait in order, and refuses the others', async () => {
    const queue = newQueue();
    const { held, ask } = heldQuestions();
    const all = Array.from({ length: 6 }, () => queue.run(ask));
    await vi.advanceTimersByTimeAsync(0);
    expect(held).toHaveLength(2);
    const refused = await all[5];
    expect(refused).toMatchObject({ ok: false, reason: 'rate_limited' });
    for (let at = 0; at < 5; at++) {
      held[at]?.(ok);
      await vi.advanceTimersByTimeAsync(0);
    }
    expect(held).toHaveLength(5);
    expect(await Promise.all(all.slice(0, 5))).toEqual(Array.from({ length: 5 }, () => ok));
  });

  it('lets nobody wait for ever, and goes on with the others', async () => {
    const queue = newQueue();
    const { held, ask } = heldQuestions();
    const running = [queue.run(ask), queue.run(ask)];
    const waiting = queue.run(ask);
    await vi.advanceTimersByTimeAsync(1000);
    expect(await waiting).toMatchObject({ ok: false, reason: 'rate_limited' });
    const late = queue.run(ask);
    for (const answer of held) answer(ok);
    await vi.advanceTimersByTimeAsync(0);
    held[2]?.(ok);
    expect(await Promise.all([...running, late])).toEqual([ok, ok, ok]);
  });

  it('sends nothing for as long as the management asks, to those who wait as well', async () => {
    const queue = newQueue();
    const { held, ask } = heldQuestions();
    const running = [queue.run(ask), queue.run(ask)];
    const waiting = queue.run(ask);
    await vi.advanceTimersByTimeAsync(0);
    held[0]?.(mdmFailure('rate_limited', 'slow down', 30));
    expect(await waiting).toMatchObject({ ok: false, retryAfterSeconds: 30 });
    held[1]?.(ok);
    await Promise.all(running);
    await vi.advanceTimersByTimeAsync(29_999);
    const asked = vi.fn(async () => ok);
    const paused = { ok: false, reason: 'rate_limited', retryAfterSeconds: 1 };
    expect(await queue.run(asked)).toMatchObject(paused);
    expect(asked).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(await queue.run(asked)).toEqual(ok);
  });

  it('takes three failures for an outage, and waits ever longer, five minutes at most', async () => {
    const queue = newQueue();
    const pauses: number[] = [];
    for (let failures = 0; failures < 14; failures++) {
      await queue.run(fail('unreachable'));
      const pauseMs = Math.max(queue.pausedUntilMs - Date.now(), 0);
      pauses.push(pauseMs);
      await vi.advanceTimersByTimeAsync(pauseMs);
    }
    expect(pauses.slice(0, 5)).toEqual([0, 0, 4000, 8000, 16_000]);
    expect(Math.max(...pauses)).toBe(300_000);
    await queue.run(async () => ok);
    await queue.run(fail('timed_out'));
    expect(await queue.run(async () => ok)).toEqual(ok);
  });

  it('does not take a refusal for an outage', async () => {
    const queue = newQueue();
    for (const reason of [
      'credentials_refused',
      'answer_malformed',
      'redirected',
      'refused',
    ] as const) {
      for (let count = 0; count < 5; count++) await queue.run(fail(reason));
    }
    expect(await queue.run(async () => ok)).toEqual(ok);
  });

  it('gives a place back when asking throws', async () => {
    const queue = newQueue();
    const lost = async (): Promise<MdmResult<string>> => {
      throw new Error('lost');
    };
    for (let count = 0; count < 5; count++) {
      await expect(queue.run(lost)).rejects.toThrow('lost');
    }
    expect(await queue.run(async () => ok)).toEqual(ok);
  });
});
