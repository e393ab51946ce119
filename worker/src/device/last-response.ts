import { decisionRecord } from '@countersign/protocol/decision-record';
import * as z from 'zod/mini';

/** So many of the shard's newest rows are looked at: for administrators only, and never all there ever were. */
const rowsLookedAt = 10_000;

const recordedResponse = z.pick(decisionRecord, {
  recorded_at_ms: true,
  response: true,
});

export type LastResponse = {
  readonly recordedAtMs: number;
  readonly response: NonNullable<z.infer<typeof recordedResponse>['response']>;
};

/**
 * What a device signed of itself when it last answered a challenge, as it is recorded with that decision; `undefined`
 * when it did not lately, among all that sign in at this shard.
 */
export function findLastResponse(sql: SqlStorage, deviceId: string): LastResponse | undefined {
  const [row] = sql
    .exec<{ record: string }>(
      `SELECT record FROM decisions
       WHERE sequence > (SELECT COALESCE(MAX(sequence), 0) FROM decisions) - ?
         AND device_id = ? AND json_extract(record, '$.response') IS NOT NULL
       ORDER BY sequence DESC LIMIT 1`,
      rowsLookedAt,
      deviceId,
    )
    .toArray();
  if (row === undefined) return undefined;
  const { recorded_at_ms, response } = recordedResponse.parse(JSON.parse(row.record));
  return response === undefined ? undefined : { recordedAtMs: recorded_at_ms, response };
}
