import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { application, ignore, input, unreachable, World } from '../testing/fail-open-world.ts';

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.close());

describe('a statement', () => {
  it('by a key that is published for the audit is never kept', async () => {
    const { auditKey } = world;
    const statement = await world.statement({}, { kid: auditKey.kid }, auditKey);
    world.answers.set('/v1/fail-open-statements', () =>
      Response.json({ statement, renew_after_seconds: 60 }),
    );
    const client = world.client();
    await world.until('not_renewed');
    expect(world.has('not_renewed')).toMatchObject([
      { detail: expect.stringContaining('its key is published for another purpose') },
    ]);
    world.isAway = true;
    await expect(client.evaluate(input())).rejects.toMatchObject(unreachable);
    expect(world.has('allowed')).toEqual([]);
  });

  it('of a broker that does not say what its keys are for is never kept, and the log says why', async () => {
    world.answers.set('/.well-known/jwks.json', () =>
      Response.json({ keys: [world.published(world.key, undefined)] }),
    );
    const client = world.client();
    await world.until('not_renewed');
    expect(world.has('not_renewed')).toMatchObject([
      { detail: expect.stringContaining('must be upgraded first') },
    ]);
    world.isAway = true;
    await expect(client.evaluate(input())).rejects.toMatchObject(unreachable);
  });

  it.each(['audit', undefined])(
    'that was kept with a key for %s lets nobody in',
    async (purpose) => {
      const honest = await world.duringOutage();
      expect(await honest.evaluate(input())).toMatchObject({ reasonCode: 'fail_open' });
      const { statements } = JSON.parse(world.stored ?? '');
      const { statement, key } = statements[application];
      expect(key.purpose).toBe('decision');
      const kept = { [application]: { statement, key: { ...key, purpose } } };
      const text = JSON.stringify({ version: 1, statements: kept, reports: [] });
      const client = world.client({ store: { load: async () => text, save: ignore } });
      await expect(client.evaluate(input())).rejects.toMatchObject(unreachable);
      expect(world.has('store_failed')).toEqual([]);
    },
  );
});
