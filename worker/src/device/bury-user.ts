import { holderEpochSql, holderSql, selectCertificates } from './certificate-records.ts';
import { holdRows, revokeRows } from './change-standing.ts';
import type { ShardBlock } from './device-shard.ts';
import type { RevocationOrder } from './issuance-request.ts';

/**
 * Ends, in this shard and for ever, every binding of a user from this epoch or an older one: the tombstone denies them,
 * and the certificates are revoked, so that lists and responders say so, too; with them those that were asked for in the
 * user's name and that nobody has signed in with. The other unbound certificates of these devices are suspended, those
 * included whose signature is still being made: whoever had the device may have their keys. Done once for each epoch, whatever comes again or in another order, so that a
 * certificate that is issued afterwards stays as it is.
 *
 * @returns how many certificates were revoked, and how many suspended
 */
export function buryUser(
  block: ShardBlock,
  userId: string,
  epoch: number,
  reason: RevocationOrder['reason'],
): { readonly revoked: number; readonly suspended: number } {
  if (epoch < 1) return { revoked: 0, suspended: 0 };
  const raised = block.sql
    .exec(
      `INSERT INTO user_tombstones (user_id, epoch) VALUES (?, ?)
       ON CONFLICT (user_id) DO UPDATE SET epoch = excluded.epoch WHERE epoch < excluded.epoch
       RETURNING epoch`,
      userId,
      epoch,
    )
    .toArray();
  if (raised.length === 0) return { revoked: 0, suspended: 0 };
  const actor = { type: 'system' } as const;
  const isEnded = `${holderSql} = ?1 AND ${holderEpochSql} <= ?2`;
  const ended = selectCertificates(block.sql, isEnded, userId, epoch);
  const besides = selectCertificates(
    block.sql,
    `bound_user IS NULL AND NOT (COALESCE(${isEnded}, FALSE))
     AND status IN ('intent', 'issued', 'superseded')
     AND device_id IN (SELECT device_id FROM certificates WHERE ${isEnded})`,
    userId,
    epoch,
  );
  return {
    revoked: revokeRows(block, ended, { reason, actor }),
    suspended: holdRows(block, besides, actor),
  };
}
