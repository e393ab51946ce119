import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ensureDataDirectory } from '../data-directory/open-data-directory.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { KeyRotation } from './key-rotation.ts';
import { defaultRotationTimes, type RotationTimes } from './rotate-token-keys.ts';
import { type RotationRequest, writeRotationRequest } from './rotation-request.ts';
import { readTokenKeys, tokenKeyFiles } from './token-key-files.ts';
import { keyIdsOf, type TokenKeys, tokenKeyPurposes } from './token-keys.ts';

const startMs = Date.UTC(2026, 10, 21);
const dayMs = 86_400_000;
const minuteMs = 60_000;

/** A rotation whose clocks are moved by hand. `served` has the keys of every time that the broker was given some. */
async function setUp(changes: Partial<RotationTimes> = {}) {
  const directory = join(temporaryDirectory(), 'data');
  const brokerUrl = 'http://127.0.0.1:8780';
  const data = await ensureDataDirectory(directory, { brokerUrl, nowMs: startMs });
  const { paths } = data;
  let clockMs = startMs;
  let monotonicMs = 0;
  const served: TokenKeys[] = [];
  const events: string[] = [];
  const state = { fails: false };
  const start = () =>
    new KeyRotation({
      paths,
      keys: readTokenKeys(paths),
      times: { ...defaultRotationTimes, ...changes },
      serve: async (keys) => {
        if (state.fails) throw new Error('workerd does not start');
        served.push(keys);
      },
      log: {
        write: (_level, event, _message, fields) =>
          void events.push(fields?.purpose === undefined ? event : `${event} ${fields.purpose}`),
        passThrough: () => undefined,
      },
      now: () => clockMs,
      monotonicNow: () => monotonicMs,
    });
  let rotation = start();
  const pass = async (ms: number) => {
    clockMs += ms;
    monotonicMs += ms;
    await rotation.tick();
  };
  return {
    paths,
    served,
    events,
    state,
    pass,
    setClock: (ms: number) => {
      clockMs = ms;
    },
    restart: () => {
      rotation = start();
    },
    ask: (request: Partial<RotationRequest> = {}) =>
      writeRotationRequest(paths.rotationRequest, {
        purposes: tokenKeyPurposes,
        atOnce: false,
        ...request,
      }),
    keys: () => readTokenKeys(paths),
    first: data.tokenKeys,
  };
}

const challengeIds = (keys: TokenKeys | undefined) =>
  keys === undefined ? [] : keyIdsOf(keys.challenge);

describe('rotation by age', () => {
  it('replaces every key after 90 days, in three steps, each served before the next', async () => {
    const { pass, served, keys, first, events, paths } = await setUp();
    await pass(89 * dayMs);
    expect(events).toEqual([]);
    await pass(dayMs);
    expect(served.at(-1)).toEqual(keys());
    expect(challengeIds(keys())).toEqual([first.challenge.inUse.kid, expect.any(String)]);
    const next = keys().challenge.next?.kid;
    await pass(3 * dayMs - 1);
    expect(keys().challenge.inUse).toEqual(first.challenge.inUse);
    await pass(1);
    expect(challengeIds(keys())).toEqual([next, first.challenge.inUse.kid]);
    await pass(14 * minuteMs);
    expect(existsSync(paths.tokenKey('challenge', first.challenge.inUse.kid))).toBe(true);
    await pass(minuteMs);
    expect(challengeIds(keys())).toEqual([next]);
    expect(existsSync(paths.tokenKey('challenge', first.challenge.inUse.kid))).toBe(false);
    const events3 = ['key_published', 'key_in_use', 'key_retired'];
    expect(events).toEqual(
      events3.flatMap((event) => tokenKeyPurposes.map((purpose) => `${event} ${purpose}`)),
    );
    expect(tokenKeyFiles(paths, keys()).every(existsSync)).toBe(true);
    await pass(80 * dayMs);
    expect(challengeIds(keys())).toEqual([next]);
    await pass(10 * dayMs);
    expect(challengeIds(keys())).toEqual([next, expect.any(String)]);
  });

  it('does not happen when nobody wants it', async () => {
    const { pass, events, keys, first } = await setUp({ everyMs: undefined });
    for (let year = 0; year < 3; year++) await pass(365 * dayMs);
    expect(events).toEqual([]);
    expect(keys()).toEqual(first);
  });

  it('goes on where it was after a restart, and even after months without a server', async () => {
    const { pass, restart, keys, first, setClock } = await setUp();
    await pass(90 * dayMs);
    const next = keys().challenge.next?.kid;
    setClock(startMs + 200 * dayMs);
    restart();
    await pass(0);
    // Published again, and not used until that has been so for a while.
    expect(challengeIds(keys())).toEqual([first.challenge.inUse.kid, next]);
    await pass(minuteMs);
    expect(challengeIds(keys())).toEqual([next, first.challenge.inUse.kid]);
    restart();
    await pass(14 * minuteMs);
    restart();
    await pass(14 * minuteMs);
    // A server that was away may not know how long its keys were accepted: the wait begins anew.
    expect(challengeIds(keys())).toEqual([next, first.challenge.inUse.kid]);
    await pass(minuteMs);
    expect(challengeIds(keys())).toEqual([next]);
  });
});

describe('a rotation that somebody asks for', () => {
  it('is of the purposes that were named, and takes its time', async () => {
    const { pass, ask, keys, first, paths } = await setUp();
    ask({ purposes: ['decision'] });
    await pass(0);
    expect(existsSync(paths.rotationRequest)).toBe(false);
    expect(keys().challenge).toEqual(first.challenge);
    expect(keys().decision.next?.useAtMs).toBe(startMs + 3 * dayMs);
  });

  it('at once, has the new keys in use after a minute, and the old ones gone after 16', async () => {
    const { pass, ask, keys, first, served } = await setUp();
    ask({ atOnce: true });
    await pass(0);
    await pass(minuteMs - 1);
    expect(served).toHaveLength(1);
    await pass(1);
    expect(keys().response.previous?.kid).toBe(first.response.inUse.kid);
    await pass(15 * minuteMs);
    expect(challengeIds(keys())).toHaveLength(1);
    expect(served).toHaveLength(3);
  });

  it('at once, makes one sooner that was taking its time', async () => {
    const { pass, ask, keys } = await setUp();
    ask();
    await pass(0);
    const next = keys().challenge.next?.kid;
    ask({ purposes: ['challenge'], atOnce: true });
    await pass(1);
    await pass(minuteMs);
    expect(keys().challenge.inUse.kid).toBe(next);
    expect(keys().decision.next?.useAtMs).toBe(startMs + 3 * dayMs);
  });

  it('begins none for a purpose whose last one has not ended', async () => {
    const { pass, ask, keys } = await setUp();
    ask({ atOnce: true });
    await pass(0);
    await pass(minuteMs);
    const before = keys();
    ask({ atOnce: true });
    await pass(1);
    expect(keys()).toEqual(before);
  });

  it('is ignored when it is malformed, once', async () => {
    const { pass, keys, first, paths, events } = await setUp();
    for (const text of ['{', '{"purposes":["root"],"at_once":true}', '{"purposes":[]}']) {
      writeFileSync(paths.rotationRequest, text);
      await pass(1);
      expect(existsSync(paths.rotationRequest)).toBe(false);
    }
    expect(keys()).toEqual(first);
    expect(events).toEqual(Array(3).fill('key_rotation_request_malformed'));
  });
});

describe('when something fails', () => {
  it('keeps what is wanted, tries it again, and takes no further step until it is served', async () => {
    const { pass, ask, keys, state, served, events } = await setUp();
    ask({ atOnce: true });
    state.fails = true;
    await pass(0);
    const wanted = keys();
    expect(wanted.challenge.next).toBeDefined();
    for (let minute = 0; minute < 5; minute++) await pass(minuteMs);
    expect(keys()).toEqual(wanted);
    expect(events.filter((event) => event === 'key_rotation_failed')).toHaveLength(6);
    state.fails = false;
    await pass(minuteMs);
    expect(served).toEqual([wanted]);
    expect(keys()).toEqual(wanted);
    await pass(minuteMs);
    expect(keys().challenge.inUse.kid).toBe(wanted.challenge.next?.kid);
  });

  it('does not fill the folder with keys when it cannot be written down', async () => {
    const { pass, ask, paths, events, first } = await setUp();
    ask({ atOnce: true });
    const broken = { ...paths, tokenKeys: join(paths.keys, 'nowhere', 'token-keys.json') };
    const rotation = new KeyRotation({
      paths: broken,
      keys: first,
      times: defaultRotationTimes,
      serve: async () => undefined,
      log: { write: (_level, event) => void events.push(event), passThrough: () => undefined },
      now: () => startMs,
      monotonicNow: () => 0,
    });
    for (let second = 0; second < 20; second++) await rotation.tick();
    expect(events).toEqual(['key_rotation_failed']);
    expect(readdirSync(paths.keys).filter((name) => name.startsWith('challenge-'))).toHaveLength(2);
    // Another server finds its request again, and sweeps away what was left.
    await pass(0);
    expect(readdirSync(paths.keys).filter((name) => name.startsWith('challenge-'))).toHaveLength(2);
  });

  it('looks every day whether anything else has grown old', async () => {
    const { pass, served, first } = await setUp();
    await pass(dayMs - 1);
    expect(served).toEqual([]);
    await pass(1);
    await pass(1);
    expect(served).toEqual([first]);
  });
});
