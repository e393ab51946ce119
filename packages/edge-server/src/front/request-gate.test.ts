import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { ask, startTestFront } from '../testing/start-test-front.ts';

/** A front whose upstream answers at once, or after a while at `/slow`, and counts. */
async function startHeldFront(changes: Parameters<typeof startTestFront>[1] = {}) {
  const seen: string[] = [];
  const front = await startTestFront(({ url = '' }, response) => {
    seen.push(url);
    setTimeout(() => response.end('ok'), url === '/slow' ? 300 : 0);
  }, changes);
  return { front, seen };
}

describe('a hold', () => {
  it('lets what is under way end, keeps what comes, and passes it on afterwards', async () => {
    const { front, seen } = await startHeldFront();
    const slow = ask(front.httpPort, { path: '/slow' });
    await sleep(100);
    const held = front.hold();
    const waiting = [1, 2, 3].map((number) =>
      ask(front.httpPort, { method: 'POST', path: `/${number}`, body: 'x' }),
    );
    expect(await held).toBe(true);
    expect(await slow).toMatchObject({ status: 200 });
    await sleep(50);
    expect(seen).toEqual(['/slow']);
    front.release();
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(seen.toSorted()).toEqual(['/1', '/2', '/3', '/slow']);
    expect(await front.hold()).toBe(true);
    front.release();
    expect(await ask(front.httpPort)).toMatchObject({ status: 200 });
  });

  it('waits only so long for what is under way', async () => {
    const { front } = await startHeldFront({ holdLimits: { drainMs: 50 } });
    const slow = ask(front.httpPort, { path: '/slow' });
    await sleep(100);
    expect(await front.hold()).toBe(false);
    front.release();
    expect(await slow).toMatchObject({ status: 200 });
  });

  it('refuses when too many wait already, and says when to come again', async () => {
    const { front, seen } = await startHeldFront({ holdLimits: { maxRequests: 2 } });
    await front.hold();
    const waiting = [ask(front.httpPort), ask(front.httpPort)];
    await sleep(100);
    const refused = await ask(front.httpPort, { method: 'POST', body: 'x' });
    expect(refused).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
    expect(JSON.parse(refused.body)).toMatchObject({ code: 'storage_unavailable' });
    expect(seen).toEqual([]);
    front.release();
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([200, 200]);
  });

  it('refuses all that waits when it takes too long, and what comes after that at once', async () => {
    const { front } = await startHeldFront({ holdLimits: { heldMs: 1_000 } });
    await front.hold();
    const startedAt = performance.now();
    expect(await ask(front.httpPort)).toMatchObject({ status: 503 });
    expect(performance.now() - startedAt).toBeGreaterThan(900);
    const later = performance.now();
    expect(await ask(front.httpPort)).toMatchObject({ status: 503 });
    expect(performance.now() - later).toBeLessThan(900);
    front.release();
    expect(await ask(front.httpPort)).toMatchObject({ status: 200 });
  });

  it('forgets a client that goes away, and its place', async () => {
    const { front, seen } = await startHeldFront({ holdLimits: { maxRequests: 1 } });
    await front.hold();
    const gone = request({ host: '127.0.0.1', port: front.httpPort, path: '/gone' });
    gone.on('error', () => undefined);
    gone.end();
    await sleep(100);
    gone.destroy();
    await sleep(100);
    const next = ask(front.httpPort, { path: '/next' });
    await sleep(100);
    front.release();
    expect(await next).toMatchObject({ status: 200 });
    expect(seen).toEqual(['/next']);
  });
});
