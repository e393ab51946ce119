/**
 * Ends, in this shard and for ever, every binding of a user from this epoch or an older one: the tombstone denies them.
 * The unbound certificates of the devices that such a binding was made on are suspended, those included whose signature
 * is still being made: whoever had the device may have their keys. Done once for each epoch, whatever comes again or in
 * another order, so that a certificate that is issued afterwards stays as it is.
 *
 * @returns how many certificates were suspended
 */
export function buryUser(sql: SqlStorage, userId: string, epoch: number): number {
  if (epoch < 1) return 0;
  const raised = sql
    .exec(
      `INSERT INTO user_tombstones (user_id, epoch) VALUES (?, ?)
       ON CONFLICT (user_id) DO UPDATE SET epoch = excluded.epoch WHERE epoch < excluded.epoch
       RETURNING epoch`,
      userId,
      epoch,
    )
    .toArray();
  if (raised.length === 0) return 0;
  return sql
    .exec(
      `UPDATE certificates SET status = 'suspended'
       WHERE status IN ('intent', 'issued') AND device_id IN (
         SELECT device_id FROM certificates WHERE bound_user = ? AND bound_epoch <= ?
       ) RETURNING certificate_number`,
      userId,
      epoch,
    )
    .toArray().length;
}
