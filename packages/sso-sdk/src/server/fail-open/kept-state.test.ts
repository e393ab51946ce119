import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { input, unreachable, World } from '../testing/fail-open-world.ts';
import { keptState } from './kept-state.ts';

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(async () => {
  vi.useRealTimers();
  await world.close();
});

describe('a store that cannot be read', () => {
  it.each([
    ['fails', () => Promise.reject(new Error('disk away'))],
    ['holds something else', async () => '{"version":2}'],
  ])('and %s lets nobody in, and is not written over', async (_, load) => {
    const saved: string[] = [];
    const store = { load, save: async (text: string) => void saved.push(text) };
    const client = world.client({ store });
    await world.until('store_failed');
    // Time enough for a statement, which would be saved.
    await setTimeout(100);
    world.isAway = true;
    await expect(client.evaluate(input())).rejects.toMatchObject(unreachable);
    await client.close();
    expect([saved, world.has('let_in'), world.has('allowed')]).toEqual([[], [], []]);
  });

  it('is read again, and nothing that it held is lost', async () => {
    const before = await world.duringOutage();
    await before.evaluate(input());
    await before.close();
    let failures = 1;
    const load = async () => {
      if (failures-- > 0) throw new Error('disk away');
      return world.stored;
    };
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const client = world.client({ store: { load, save: world.store.save } });
    await vi.advanceTimersByTimeAsync(0);
    const early = expect(client.evaluate(input())).rejects.toBeInstanceOf(Error);
    // Beside the pause before the store is read again, that of each request before it is repeated.
    await vi.advanceTimersByTimeAsync(200);
    await early;
    await vi.advanceTimersByTimeAsync(5_000);
    vi.useRealTimers();
    const decision = await client.evaluate(input({ subject: 'bob' }));
    expect(decision).toMatchObject({ reasonCode: 'fail_open' });
    const { reports } = keptState.parse(JSON.parse(world.stored ?? ''));
    expect(reports.map(({ subject }) => subject)).toEqual(['ada', 'bob']);
  });
});
