import { findUser, isNameInactive, storeUser, unknownUser } from './user-records.ts';

/** `sinceMs`: when the epoch began; what waited before then is not finished in it. 0 for a user's first epoch. */
export type ReservationAnswer =
  | { readonly ok: true; readonly epoch: number; readonly sinceMs: number }
  | { readonly ok: false; readonly code: 'subject_inactive' };

/**
 * Notes that a certificate of this user is about to be bound, or made, in this shard, and gives the user's epoch. Idempotent,
 * never released: a later deactivation must reach every shard that ever held a binding.
 */
export function reserveBinding(sql: SqlStorage, userId: string, shard: number): ReservationAnswer {
  const known = findUser(sql, userId);
  if (known?.active === 0 || isNameInactive(sql, userId)) {
    return { ok: false, code: 'subject_inactive' };
  }
  const user = known ?? unknownUser(userId);
  if (known === undefined) storeUser(sql, user);
  sql.exec(
    `INSERT INTO binding_reservations (user_id, shard, epoch) VALUES (?, ?, ?)
     ON CONFLICT (user_id, shard) DO UPDATE SET epoch = excluded.epoch
     WHERE epoch <> excluded.epoch`,
    userId,
    shard,
    user.epoch,
  );
  return { ok: true, epoch: user.epoch, sinceMs: user.epoch_since_ms };
}
