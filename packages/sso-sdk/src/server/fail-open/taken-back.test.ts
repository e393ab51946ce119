import { makeTestKey } from '@countersign/testkit/fake-authorities';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { application, input, problem, unreachable, World } from '../testing/fail-open-world.ts';

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.close());

it('a client that is closed in the middle of a round asks for nothing any more', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const { promise, resolve } = Promise.withResolvers<Response>();
    world.answers.set('/v1/fail-open-statements', () => promise);
    const client = world.client();
    await vi.advanceTimersByTimeAsync(0);
    const closed = client.close();
    resolve(problem(404, 'fail_open_off'));
    await closed;
    expect(vi.getTimerCount()).toBe(0);
    expect(world.asked.map(({ path }) => path)).toEqual(['/v1/fail-open-statements']);
  } finally {
    vi.useRealTimers();
  }
});

describe('a statement that is kept', () => {
  it('of an application that the options name no more lets nobody in, and leaves the store', async () => {
    const before = await world.duringOutage();
    await before.close();
    const after = world.client({ applications: ['payroll'] });
    await expect(after.evaluate(input())).rejects.toMatchObject(unreachable);
    await world.until('not_allowed');
    expect(world.has('not_allowed')).toMatchObject([{ application }]);
    expect(JSON.parse(world.stored ?? '').statements).toEqual({});
    expect(world.has('let_in')).toEqual([]);
  });

  it.each([
    ['fail-open is off', () => problem(404, 'fail_open_off')],
    ['it does not know the client', () => problem(401, 'client_authentication_failed')],
  ])('is given up as soon as the broker says that %s', async (_, answer) => {
    await world.duringOutage();
    world.isAway = false;
    world.answers.set('/v1/fail-open-statements', answer);
    const told = world.client();
    await world.until('not_allowed');
    world.isAway = true;
    await expect(told.evaluate(input())).rejects.toMatchObject(unreachable);
    expect(JSON.parse(world.stored ?? '').statements).toEqual({});
  });

  const page = (status: number) => () => new Response('<html>', { status });
  it.each([
    ['a failure', () => problem(503, 'snapshot_unavailable')],
    ['silence', () => 'unreachable' as const],
    ['too many requests', () => problem(429, 'rate_limited')],
    ['the 404 of a front', page(404)],
    ['the 403 of a front', page(403)],
    ['the 429 of a front', page(429)],
    ['a page', page(200)],
    ['another JSON', () => Response.json({ error: 'fail_open_off' }, { status: 404 })],
    ['no statement', () => Response.json({ statement: 'a.b.c', renew_after_seconds: 60 })],
    [
      "a statement of somebody else's key",
      async () =>
        Response.json({
          statement: await world.statement({}, {}, makeTestKey()),
          renew_after_seconds: 60,
        }),
    ],
  ])('outlives %s in place of the next one', async (_, answer) => {
    const before = await world.duringOutage();
    await before.close();
    world.isAway = false;
    world.answers.set('/v1/fail-open-statements', answer);
    const client = world.client();
    await world.until('not_renewed');
    world.isAway = true;
    expect(await client.evaluate(input())).toMatchObject({ reasonCode: 'fail_open' });
    expect(world.has('not_allowed')).toEqual([]);
  });
});
