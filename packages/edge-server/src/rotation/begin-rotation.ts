import type { DataPaths } from '../data-directory/layout.ts';
import { publish, purposesAtRest, type RotationTimes, useSooner } from './rotate-token-keys.ts';
import type { RotationRequest } from './rotation-request.ts';
import { makeTokenKey } from './token-key-files.ts';
import type { TokenKeyPurpose, TokenKeys } from './token-keys.ts';

/** Makes a new key for each of these purposes, which must be at rest. They are published when the result is served. */
export function publishNewKeys(
  paths: DataPaths,
  keys: TokenKeys,
  purposes: readonly TokenKeyPurpose[],
  useAtMs: number,
): TokenKeys {
  if (purposes.length === 0) return keys;
  const made = purposes.map((purpose) => [purpose, makeTokenKey(paths, purpose)] as const);
  return publish(keys, new Map(made), useAtMs);
}

/** What the keys are to be for somebody who asks: a rotation of each purpose at rest, and those under way made sooner. */
export function beginRotation(
  paths: DataPaths,
  keys: TokenKeys,
  { purposes, atOnce }: RotationRequest,
  times: Pick<RotationTimes, 'publishMs' | 'publishAtOnceMs'>,
  nowMs: number,
): TokenKeys {
  const useAtMs = nowMs + (atOnce ? times.publishAtOnceMs : times.publishMs);
  const begun = publishNewKeys(paths, keys, purposesAtRest(keys, purposes), useAtMs);
  return atOnce ? useSooner(begun, purposes, useAtMs) : begun;
}
