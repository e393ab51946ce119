import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Answer, input, problem, unreachable, World } from '../testing/fail-open-world.ts';

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.close());

describe('a server that was busy itself', () => {
  /** The deadline of whatever waits passes meanwhile, and its timer runs before any socket is read. */
  const beBusy = () => {
    world.busyMs += 400;
    return 'silent' as const;
  };
  /** A server whose evaluation was not answered in time, and what it finds then, probe by probe. */
  async function afterTimeout(
    probes: readonly (() => Answer)[],
    evaluation: () => Answer = beBusy,
  ) {
    const client = await world.hastyClient();
    world.answers.set('/access/v1/evaluation', evaluation);
    const left = [...probes];
    world.answers.set('/healthz', () => left.shift()?.());
    return { client, left };
  }
  const unreachableProbe = () => 'unreachable' as const;
  const silent = () => 'silent' as const;
  const timeout = { code: 'broker_timeout' };

  it.each([
    ['once', [beBusy]],
    ['each time', [beBusy, beBusy, beBusy, beBusy, unreachableProbe, unreachableProbe]],
    ['between two failures', [unreachableProbe, beBusy, unreachableProbe]],
  ])('%s takes no healthy broker for one that is away', async (_, probes) => {
    const { client } = await afterTimeout(probes);
    await expect(client.evaluate(input())).rejects.toMatchObject(timeout);
    expect(world.has('let_in')).toEqual([]);
  });

  it.each([
    ['fails', () => problem(503, 'snapshot_unavailable')],
    ['is lost', unreachableProbe],
    ['is not answered', silent],
  ])('needs more than one probe that %s', async (_, probe) => {
    const { client, left } = await afterTimeout([probe], silent);
    await expect(client.evaluate(input())).rejects.toMatchObject(timeout);
    expect(left).toEqual([]);
    expect(world.has('let_in')).toEqual([]);
  });

  it('still finds out that the broker is away', async () => {
    const { client, left } = await afterTimeout([beBusy, unreachableProbe, silent]);
    expect(await client.evaluate(input())).toMatchObject({
      failOpen: { cause: 'broker_timeout' },
    });
    expect(left).toEqual([]);
  });

  it('gives a slow broker as long as an evaluation', async () => {
    const client = world.client();
    await world.until('allowed');
    world.answers.set('/access/v1/evaluation', unreachableProbe);
    world.answers.set('/healthz', async () => {
      await setTimeout(1_100);
      return undefined;
    });
    await expect(client.evaluate(input())).rejects.toMatchObject(unreachable);
  });
});
