import {
  challengeTtlSeconds,
  decisionTokenTtlSeconds,
  stepUpTtlSeconds,
} from '@countersign/protocol/limits';
import {
  forEachPurpose,
  type PurposeKeys,
  type TokenKeyPurpose,
  type TokenKeys,
  tokenKeyPurposes,
} from './token-keys.ts';

/**
 * The steps of a rotation, as pure functions. A new key is published, then used in place of the old one, and the old
 * one is retired when nothing made with it can still come back.
 */

export type RotationTimes = {
  /** A key is replaced when it has been in use for this long. `undefined`: only when somebody asks. */
  readonly everyMs: number | undefined;
  /** From a key's publication to its use. */
  readonly publishMs: number;
  /** The same, when somebody asks for a rotation at once. */
  readonly publishAtOnceMs: number;
  /**
   * A key is put to use only after this server has published it for so long without a break, whatever the clock says:
   * longer than a verifier that just missed it waits before it looks again (jose: 30 seconds).
   */
  readonly settleMs: number;
  /** From a key's last use to its end; this server accepts it for so long without a break. */
  readonly retireMs: number;
};

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

/** A challenge, its completion after a step-up, and a retry of that: nothing can come back later. */
const longestSignInMs = (challengeTtlSeconds + stepUpTtlSeconds + decisionTokenTtlSeconds) * 1000;

export const defaultRotationTimes: RotationTimes = {
  everyMs: 90 * dayMs,
  // A host asks once a day for the key set, after an answer. One that signs in at the same hour every day may just miss
  // the day and ask after two.
  publishMs: 3 * dayMs,
  publishAtOnceMs: minuteMs,
  settleMs: minuteMs,
  retireMs: longestSignInMs + 3 * minuteMs,
};

/** @returns `keys` itself when nothing has changed */
function change(
  keys: TokenKeys,
  changePurpose: (keys: PurposeKeys, purpose: TokenKeyPurpose) => PurposeKeys,
): TokenKeys {
  const changed = forEachPurpose((purpose) => changePurpose(keys[purpose], purpose));
  return tokenKeyPurposes.some((purpose) => changed[purpose] !== keys[purpose]) ? changed : keys;
}

/** Those of the purposes for which a rotation can begin: none is under way. */
export function purposesAtRest(
  keys: TokenKeys,
  purposes: readonly TokenKeyPurpose[],
): TokenKeyPurpose[] {
  return purposes.filter((purpose) => {
    const { next, previous } = keys[purpose];
    return next === undefined && previous === undefined;
  });
}

/** Purposes whose key has been in use for so long that it is to be replaced, and is not being replaced. */
export function purposesDue(
  keys: TokenKeys,
  nowMs: number,
  everyMs: number | undefined,
): TokenKeyPurpose[] {
  if (everyMs === undefined) return [];
  const isDue = (purpose: TokenKeyPurpose) => nowMs >= keys[purpose].inUse.sinceMs + everyMs;
  return purposesAtRest(keys, tokenKeyPurposes).filter(isDue);
}

/** Begins a rotation for each purpose that has a new key here. They must be at rest. */
export function publish(
  keys: TokenKeys,
  newKeyIds: ReadonlyMap<TokenKeyPurpose, string>,
  useAtMs: number,
): TokenKeys {
  return change(keys, (current, purpose) => {
    const kid = newKeyIds.get(purpose);
    return kid === undefined ? current : { ...current, next: { kid, useAtMs } };
  });
}

/** Keys of these purposes that are published already are used at this time, if that is sooner. */
export function useSooner(
  keys: TokenKeys,
  purposes: readonly TokenKeyPurpose[],
  useAtMs: number,
): TokenKeys {
  return change(keys, (current, purpose) => {
    const { next } = current;
    if (next === undefined || next.useAtMs <= useAtMs || !purposes.includes(purpose)) {
      return current;
    }
    return { ...current, next: { ...next, useAtMs } };
  });
}

function advancePurpose(
  current: PurposeKeys,
  nowMs: number,
  servedMs: number,
  times: Pick<RotationTimes, 'settleMs' | 'retireMs'>,
): PurposeKeys {
  const { inUse, next, previous } = current;
  if (next !== undefined && nowMs >= next.useAtMs && servedMs >= times.settleMs) {
    return {
      inUse: { kid: next.kid, sinceMs: nowMs },
      previous: { kid: inUse.kid, retireAtMs: nowMs + times.retireMs },
    };
  }
  if (previous !== undefined && nowMs >= previous.retireAtMs && servedMs >= times.retireMs) {
    return { inUse };
  }
  return current;
}

/**
 * Takes each purpose one step further whose time has come.
 *
 * @param servedMs for how long these very keys have been served without a break, by a clock that nobody sets
 * @returns `keys` itself when there is nothing to do
 */
export function advance(
  keys: TokenKeys,
  nowMs: number,
  servedMs: number,
  times: Pick<RotationTimes, 'settleMs' | 'retireMs'>,
): TokenKeys {
  return change(keys, (current) => advancePurpose(current, nowMs, servedMs, times));
}
