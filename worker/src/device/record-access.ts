import { narrowingCompletesAfterMs } from '@countersign/protocol/limits';
import { appendAccess, type RecordedAccess } from './access-record.ts';
import type { ShardBlock } from './device-shard.ts';

/** What one request was answered, with what it rests on. */
export type AccessEntry = {
  readonly clientId: string;
  readonly organizationVersion: number;
  /** When the snapshot of that version began to be read. */
  readonly readAtMs: number;
  readonly evaluations: readonly RecordedAccess[];
};

export type RecordAccessResult =
  | { readonly kind: 'recorded'; readonly decisionId: string }
  | { readonly kind: 'needs_snapshot' };

/** Records what is about to be answered, unless it rests on what may have been changed and reported complete since. */
export function recordAccess(
  block: ShardBlock & { readonly shard: number },
  { clientId, organizationVersion, readAtMs, evaluations }: AccessEntry,
): RecordAccessResult {
  const { shard, nowMs } = block;
  if (Math.abs(nowMs - readAtMs) > narrowingCompletesAfterMs) return { kind: 'needs_snapshot' };
  const { sequence } = appendAccess(block, {
    shard,
    recorded_at_ms: nowMs,
    id: block.randomId(),
    client_id: clientId,
    organization_version: organizationVersion,
    evaluations: [...evaluations],
  });
  return { kind: 'recorded', decisionId: `${shard}.${sequence}` };
}
