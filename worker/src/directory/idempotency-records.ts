import * as z from 'zod/mini';

/** Requests that came with an `Idempotency-Key`, by administrator and key. Within blocks of the organization. */

export type IdempotencyName = { readonly adminId: string; readonly key: string };

const keptForMs = 24 * 3_600_000;
/** A request that has had no answer for longer was broken off: what became of it is not known. */
const longestRequestMs = 60_000;

const idempotencyRow = z.object({
  request_sha256: z.instanceof(ArrayBuffer),
  began_at_ms: z.int(),
  sealed_answer: z.nullable(z.string()),
});

export type IdempotencyAnswer =
  /** With the answer from before, or to be worked on now. */
  | { readonly ok: true; readonly sealedAnswer: string | undefined }
  | {
      readonly ok: false;
      readonly code:
        | 'idempotency_key_reused'
        | 'idempotency_in_progress'
        | 'idempotency_outcome_unknown';
    };

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}

/** Takes the key for this request, unless it was taken before; forgets those that are old. */
export function beginIdempotent(
  sql: SqlStorage,
  { adminId, key }: IdempotencyName,
  requestSha256: Uint8Array,
  nowMs: number,
): IdempotencyAnswer {
  sql.exec('DELETE FROM idempotency_keys WHERE began_at_ms < ?', nowMs - keptForMs);
  const [found] = sql
    .exec(
      `SELECT request_sha256, began_at_ms, sealed_answer FROM idempotency_keys
       WHERE admin_id = ? AND idempotency_key = ?`,
      adminId,
      key,
    )
    .toArray();
  if (found === undefined) {
    sql.exec(
      `INSERT INTO idempotency_keys (admin_id, idempotency_key, request_sha256, began_at_ms)
       VALUES (?, ?, ?, ?)`,
      adminId,
      key,
      requestSha256,
      nowMs,
    );
    return { ok: true, sealedAnswer: undefined };
  }
  const row = idempotencyRow.parse(found);
  if (!isSame(new Uint8Array(row.request_sha256), requestSha256)) {
    return { ok: false, code: 'idempotency_key_reused' };
  }
  if (row.sealed_answer !== null) return { ok: true, sealedAnswer: row.sealed_answer };
  const isRunning = Math.abs(nowMs - row.began_at_ms) < longestRequestMs;
  return {
    ok: false,
    code: isRunning ? 'idempotency_in_progress' : 'idempotency_outcome_unknown',
  };
}

export function keepIdempotent(
  sql: SqlStorage,
  { adminId, key }: IdempotencyName,
  sealedAnswer: string,
): void {
  sql.exec(
    'UPDATE idempotency_keys SET sealed_answer = ? WHERE admin_id = ? AND idempotency_key = ?',
    sealedAnswer,
    adminId,
    key,
  );
}

/** Nothing has happened: the key may come again, with whatever. */
export function releaseIdempotent(sql: SqlStorage, { adminId, key }: IdempotencyName): void {
  sql.exec(
    `DELETE FROM idempotency_keys
     WHERE admin_id = ? AND idempotency_key = ? AND sealed_answer IS NULL`,
    adminId,
    key,
  );
}
