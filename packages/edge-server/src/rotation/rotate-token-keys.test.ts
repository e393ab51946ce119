import {
  challengeTtlSeconds,
  decisionTokenTtlSeconds,
  stepUpTtlSeconds,
} from '@countersign/protocol/limits';
import { describe, expect, it } from 'vitest';
import {
  advance,
  defaultRotationTimes,
  publish,
  purposesAtRest,
  purposesDue,
  useSooner,
} from './rotate-token-keys.ts';
import {
  forEachPurpose,
  keyIdsOf,
  type TokenKeyPurpose,
  type TokenKeys,
  tokenKeyPurposes,
} from './token-keys.ts';

const startMs = Date.UTC(2026, 10, 21);
const times = defaultRotationTimes;
const forever = Number.POSITIVE_INFINITY;
const first: TokenKeys = forEachPurpose((purpose) => ({
  inUse: { kid: `${purpose}-1`, sinceMs: startMs },
}));
const newKeys = (purposes: readonly TokenKeyPurpose[], number = 2) =>
  new Map(purposes.map((purpose) => [purpose, `${purpose}-${number}`]));
const ids = (keys: TokenKeys, purpose: TokenKeyPurpose = 'challenge') => keyIdsOf(keys[purpose]);

describe('the default times', () => {
  it('outlast everything that depends on a key', () => {
    const longest = challengeTtlSeconds + stepUpTtlSeconds + decisionTokenTtlSeconds;
    expect(times.retireMs).toBeGreaterThan(longest * 1000);
    // The cooldown and the cache of jose, which most sign-in servers verify with.
    expect(times.settleMs).toBeGreaterThan(30_000);
    expect(times.publishAtOnceMs).toBeGreaterThan(30_000);
    expect(times.publishMs).toBeGreaterThan(600_000);
    // Two days between two questions of a host that signs in at the same hour each day.
    expect(times.publishMs).toBeGreaterThan(2 * 86_400_000);
  });
});

describe('a rotation', () => {
  const useAtMs = startMs + times.publishMs;
  const published = publish(first, newKeys(['challenge']), useAtMs);

  it('publishes first, then uses, then retires, and touches no other purpose', () => {
    expect(ids(published)).toEqual(['challenge-1', 'challenge-2']);
    expect(advance(published, useAtMs - 1, forever, times)).toBe(published);
    const used = advance(published, useAtMs, forever, times);
    expect(ids(used)).toEqual(['challenge-2', 'challenge-1']);
    expect(used.challenge.inUse.sinceMs).toBe(useAtMs);
    const retireAtMs = useAtMs + times.retireMs;
    expect(advance(used, retireAtMs - 1, forever, times)).toBe(used);
    const retired = advance(used, retireAtMs, forever, times);
    expect(ids(retired)).toEqual(['challenge-2']);
    expect(advance(retired, startMs * 2, forever, times)).toBe(retired);
    for (const keys of [published, used, retired]) {
      expect({ ...keys, challenge: undefined }).toEqual({ ...first, challenge: undefined });
    }
  });

  it('waits until what it changed last was really served for so long, whatever the clock says', () => {
    const late = startMs * 2;
    expect(advance(published, late, times.settleMs - 1, times)).toBe(published);
    const used = advance(published, late, times.settleMs, times);
    expect(ids(used)).toEqual(['challenge-2', 'challenge-1']);
    expect(advance(used, late * 2, times.retireMs - 1, times)).toBe(used);
    expect(ids(advance(used, late * 2, times.retireMs, times))).toEqual(['challenge-2']);
  });

  it('waits longer, and loses nothing, when the clock goes back', () => {
    expect(advance(published, 0, forever, times)).toBe(published);
    expect(purposesDue(first, 0, times.everyMs)).toEqual([]);
  });

  it('can be made sooner, never later', () => {
    const sooner = useSooner(published, ['challenge', 'decision'], startMs + 5);
    expect(sooner.challenge.next?.useAtMs).toBe(startMs + 5);
    expect(sooner.decision).toEqual(first.decision);
    expect(useSooner(published, ['challenge'], useAtMs + 5)).toBe(published);
    expect(useSooner(published, ['decision'], startMs)).toBe(published);
  });

  it('begins for a purpose only when none is under way', () => {
    expect(purposesAtRest(first, ['challenge', 'decision'])).toEqual(['challenge', 'decision']);
    expect(purposesAtRest(published, ['challenge', 'decision'])).toEqual(['decision']);
    const used = advance(published, useAtMs, forever, times);
    expect(purposesAtRest(used, ['challenge'])).toEqual([]);
  });

  it('is due by age, where it is wanted', () => {
    const due = startMs + (times.everyMs ?? 0);
    expect(purposesDue(first, due - 1, times.everyMs)).toEqual([]);
    expect(purposesDue(first, due, times.everyMs)).toEqual([...tokenKeyPurposes]);
    expect(purposesDue(first, due * 2, undefined)).toEqual([]);
    expect(purposesDue(published, due, times.everyMs)).not.toContain('challenge');
  });
});

/** A sequence of steps at pseudo-random times, from a fixed seed, against what must hold at each of them. */
it('never uses a key before it was published for long enough, nor drops one that may come back', () => {
  let seed = 7;
  const random = () => {
    seed = (seed * 16_807) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  let keys = first;
  let nowMs = startMs;
  let servedSinceMs = startMs;
  let made = 1;
  const publishedAt = new Map<string, number>();
  const lastUsedAt = new Map<string, number>();
  let rotations = 0;
  for (let step = 0; step < 20_000; step++) {
    nowMs += Math.floor(random() * 30_000);
    for (const purpose of tokenKeyPurposes) lastUsedAt.set(keys[purpose].inUse.kid, nowMs);
    const before = keys;
    if (random() < 0.01) {
      made += 1;
      const purposes = purposesAtRest(
        keys,
        tokenKeyPurposes.filter(() => random() < 0.5),
      );
      keys = publish(keys, newKeys(purposes, made), nowMs + times.publishAtOnceMs);
      for (const purpose of purposes) publishedAt.set(`${purpose}-${made}`, nowMs);
    } else keys = advance(keys, nowMs, nowMs - servedSinceMs, times);
    if (keys === before) continue;
    servedSinceMs = nowMs;
    for (const purpose of tokenKeyPurposes) {
      const [old, now] = [before[purpose], keys[purpose]];
      expect(ids(keys, purpose).length).toBeLessThanOrEqual(2);
      if (old.inUse.kid !== now.inUse.kid) {
        rotations += 1;
        expect(now.inUse.kid).toBe(old.next?.kid);
        expect(nowMs - (publishedAt.get(now.inUse.kid) ?? nowMs)).toBeGreaterThanOrEqual(
          times.publishAtOnceMs,
        );
      }
      for (const gone of ids(before, purpose).filter((kid) => !ids(keys, purpose).includes(kid))) {
        expect(nowMs - (lastUsedAt.get(gone) ?? nowMs)).toBeGreaterThanOrEqual(times.retireMs);
      }
    }
  }
  expect(rotations).toBeGreaterThan(100);
});
