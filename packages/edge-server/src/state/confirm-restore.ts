import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileMode } from '../data-directory/layout.ts';
import type { DataDirectory } from '../data-directory/open-data-directory.ts';
import { EdgeServerError } from '../edge-server-error.ts';
import type { Log } from '../logs.ts';
import { makeTokenKey, writeTokenKeys } from '../rotation/token-key-files.ts';
import { forEachPurpose } from '../rotation/token-keys.ts';
import { findLosses } from './find-losses.ts';
import { type HighWaterMark, readHighWaterMark, writeHighWaterMark } from './high-water-mark.ts';
import { hashIn, readState } from './keep-high-water-mark.ts';
import { withPrivateBroker } from './private-broker.ts';
import { raiseKeySet } from './raise-key-set.ts';

export type Restore = {
  /** What the marked state had and this one has not; none when there is nothing to confirm. */
  readonly losses: readonly string[];
  readonly state: HighWaterMark;
};

function markOrProblem(path: string): HighWaterMark | string | undefined {
  try {
    return readHighWaterMark(path);
  } catch (error) {
    if (error instanceof EdgeServerError && error.failure === 'high_water_mark_unusable') {
      return `${path} says nothing that could be compared: it is damaged`;
    }
    throw error;
  }
}

/** Compares a data folder that no server uses with the mark. Changes neither. */
export async function examineRestore(
  data: DataDirectory,
  markPath: string,
  options: { readonly workerBundle: string; readonly log: Log; readonly nowMs: number },
): Promise<Restore> {
  return await withPrivateBroker(data, options, async (access) => {
    const state = await readState(access, data);
    const marked = markOrProblem(markPath);
    if (marked === undefined) return { losses: [], state };
    if (typeof marked === 'string') return { losses: [marked], state };
    return { losses: await findLosses(marked, state, hashIn(access)), state };
  });
}

/**
 * Takes the older state for the newest one. All token keys are made anew, so that no challenge, evidence or decision
 * from what was lost counts, and the key set gets a version above any that a device may have seen. The mark is the
 * last: until it is written, a start refuses as before.
 */
export async function confirmRestore(
  data: DataDirectory,
  markPath: string,
  { losses, state }: Restore,
  nowMs: number,
): Promise<void> {
  const { paths } = data;
  const marked = markOrProblem(markPath);
  const markedVersion = typeof marked === 'object' ? marked.key_set_version : 0;
  const tokenKeys = forEachPurpose((purpose) => ({
    inUse: { kid: makeTokenKey(paths, purpose), sinceMs: nowMs },
  }));
  const keySetVersion = await raiseKeySet(data, tokenKeys, markedVersion, nowMs);
  writeTokenKeys(paths, tokenKeys);
  appendFileSync(
    join(data.directory, 'restores.jsonl'),
    `${JSON.stringify({ confirmed_at: new Date(nowMs).toISOString(), losses })}\n`,
    { mode: fileMode },
  );
  writeHighWaterMark(markPath, { ...state, key_set_version: keySetVersion });
}
