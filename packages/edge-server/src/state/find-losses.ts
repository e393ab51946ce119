import { isDeepStrictEqual } from 'node:util';
import type { DeviceMark } from '@countersign/protocol/state';
import type { HighWaterMark } from './high-water-mark.ts';

/** The hash of a shard's row with this number; `undefined` when there is none. */
export type HashAt = (shard: number, sequence: number) => Promise<string | undefined>;

const emptyState = { count: 0, certificates: 0, changes: 0 };

/** Whether nothing has ever been stored in this state. */
export function isPristine(state: HighWaterMark): boolean {
  const { organization } = state;
  return (
    organization.version === 1 &&
    organization.changes === 0 &&
    organization.imports === 0 &&
    state.shards.every(({ device, key }) => {
      const { count, certificates, changes } = device ?? emptyState;
      return count + certificates + changes + (key?.changes ?? 0) === 0;
    })
  );
}

async function lossesOfShard(
  shard: number,
  marked: DeviceMark,
  found: DeviceMark,
  hashAt: HashAt,
): Promise<string[]> {
  const fewer = (what: string, there: number, here: number) =>
    here < there ? [`shard ${shard}: ${here} ${what} instead of ${there}`] : [];
  const losses = [
    ...fewer('decisions', marked.count, found.count),
    ...fewer('certificates', marked.certificates, found.certificates),
    ...fewer(
      'other changes (tokens, revocations, suspensions, tombstones)',
      marked.changes,
      found.changes,
    ),
  ];
  if (found.count < marked.count || marked.count === 0) return losses;
  const hash = found.count === marked.count ? found.hash : await hashAt(shard, marked.count);
  if (hash === marked.hash) return losses;
  return [...losses, `shard ${shard}: other decisions than there were, up to row ${marked.count}`];
}

/**
 * What the marked state had and this one has not, one line for each thing; none when this state is the marked one or
 * came after it.
 */
export async function findLosses(
  marked: HighWaterMark,
  found: HighWaterMark,
  hashAt: HashAt,
): Promise<string[]> {
  if (marked.organization_id !== found.organization_id) {
    return [`the state is of organization ${found.organization_id}, not ${marked.organization_id}`];
  }
  const losses: string[] = [];
  if (found.key_set_version < marked.key_set_version) {
    losses.push(
      `key set version ${found.key_set_version} instead of ${marked.key_set_version}: devices refuse an older one`,
    );
  }
  const [is, was] = [found.organization, marked.organization];
  if (is.imports !== was.imports || is.import_id !== was.import_id) {
    const importOf = ({ imports, import_id }: typeof is) =>
      imports === 0 ? 'before any import' : `after import ${imports} (${import_id})`;
    // Shards and numbers are others on both sides of an import: there is nothing more to compare.
    return [...losses, `a state from ${importOf(is)} instead of one from ${importOf(was)}`];
  }
  if (found.shards.length !== marked.shards.length) {
    return [...losses, `${found.shards.length} shards instead of ${marked.shards.length}`];
  }
  if (is.version < was.version) {
    losses.push(
      `organization: version ${is.version} instead of ${was.version} (clients, policies, users)`,
    );
  }
  if (is.changes < was.changes) {
    losses.push(`organization: ${is.changes} changes of users instead of ${was.changes}`);
  }
  for (const [shard, { device, key }] of marked.shards.entries()) {
    const now = found.shards[shard];
    if (device !== null && now?.device != null && !isDeepStrictEqual(device, now.device)) {
      losses.push(...(await lossesOfShard(shard, device, now.device, hashAt)));
    }
    if (key !== null && now?.key != null && now.key.changes < key.changes) {
      losses.push(
        `keys of shard ${shard}: ${now.key.changes} changes instead of ${key.changes} (keys claimed and blocked)`,
      );
    }
  }
  return losses;
}
