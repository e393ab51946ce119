import { request } from 'node:http';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { ask, startTestFront } from '../testing/start-test-front.ts';
import { RequestGate } from './request-gate.ts';

/** A front whose upstream answers at once, at `/slow` when the test says so, and counts; and who waits at its gate. */
async function startHeldFront(changes: Parameters<typeof startTestFront>[1] = {}) {
  const wait = vi.spyOn(RequestGate.prototype, 'wait');
  onTestFinished(() => wait.mockRestore());
  const seen: string[] = [];
  const slow = Promise.withResolvers<void>();
  const front = await startTestFront(async ({ url = '' }, response) => {
    seen.push(url);
    if (url === '/slow') await slow.promise;
    response.end('ok');
  }, changes);
  const limits = { timeout: 10_000, interval: 5 };
  /** `undefined` of each that waits; whether it may pass of each that did. */
  const waits = () =>
    wait.mock.settledResults.map(({ type, value }) => (type === 'fulfilled' ? value : undefined));
  return {
    front,
    seen,
    /** Asks for `/slow`, and returns when the upstream has it. */
    askSlowly: async () => {
      const answer = ask(front.httpPort, { path: '/slow' });
      await expect.poll(() => seen, limits).toContain('/slow');
      return { answer, end: slow.resolve };
    },
    untilWaits: (expected: readonly (boolean | undefined)[]) =>
      expect.poll(waits, limits).toEqual(expected),
  };
}

describe('a hold', () => {
  it('lets what is under way end, keeps what comes, and passes it on afterwards', async () => {
    const { front, seen, askSlowly, untilWaits } = await startHeldFront();
    const slow = await askSlowly();
    let isHeld = false;
    const held = front.hold().finally(() => {
      isHeld = true;
    });
    const waiting = [1, 2, 3].map((number) =>
      ask(front.httpPort, { method: 'POST', path: `/${number}`, body: 'x' }),
    );
    await untilWaits([undefined, undefined, undefined]);
    expect(isHeld).toBe(false);
    slow.end();
    expect(await held).toBe(true);
    expect(await slow.answer).toMatchObject({ status: 200 });
    expect(seen).toEqual(['/slow']);
    front.release();
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(seen.toSorted()).toEqual(['/1', '/2', '/3', '/slow']);
    expect(await front.hold()).toBe(true);
    front.release();
    expect(await ask(front.httpPort)).toMatchObject({ status: 200 });
  });

  it('waits only so long for what is under way', async () => {
    const { front, askSlowly } = await startHeldFront({ holdLimits: { drainMs: 50 } });
    const slow = await askSlowly();
    expect(await front.hold()).toBe(false);
    front.release();
    slow.end();
    expect(await slow.answer).toMatchObject({ status: 200 });
  });

  it('refuses when too many wait already, and says when to come again', async () => {
    const { front, seen, untilWaits } = await startHeldFront({ holdLimits: { maxRequests: 2 } });
    await front.hold();
    const waiting = [ask(front.httpPort), ask(front.httpPort)];
    await untilWaits([undefined, undefined]);
    const refused = await ask(front.httpPort, { method: 'POST', body: 'x' });
    expect(refused).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
    expect(JSON.parse(refused.body)).toMatchObject({ code: 'storage_unavailable' });
    expect(seen).toEqual([]);
    front.release();
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([200, 200]);
  });

  it('refuses all that waits when it takes too long, and what comes after that at once', async () => {
    const { front } = await startHeldFront({ holdLimits: { heldMs: 3_000 } });
    await front.hold();
    const startedAt = performance.now();
    expect(await ask(front.httpPort)).toMatchObject({ status: 503 });
    expect(performance.now() - startedAt).toBeGreaterThan(2_900);
    const later = performance.now();
    expect(await ask(front.httpPort)).toMatchObject({ status: 503 });
    expect(performance.now() - later).toBeLessThan(2_900);
    front.release();
    expect(await ask(front.httpPort)).toMatchObject({ status: 200 });
  });

  it('forgets a client that goes away, and its place', async () => {
    const { front, seen, untilWaits } = await startHeldFront({ holdLimits: { maxRequests: 1 } });
    await front.hold();
    const gone = request({ host: '127.0.0.1', port: front.httpPort, path: '/gone' });
    gone.on('error', () => undefined);
    gone.end();
    await untilWaits([undefined]);
    gone.destroy();
    await untilWaits([false]);
    const next = ask(front.httpPort, { path: '/next' });
    await untilWaits([false, undefined]);
    front.release();
    expect(await next).toMatchObject({ status: 200 });
    expect(seen).toEqual(['/next']);
  });
});
