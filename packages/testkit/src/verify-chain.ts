import { createHash } from 'node:crypto';

type Row = { readonly sequence: number; readonly record: string; readonly hash: string };

/**
 * Recomputes a shard's hash chain from exported rows, written from the storage schema's text and not from the broker's
 * code. After an import the chain begins with `start`. Returns the sequence number of the first row that does not fit, or `undefined` when all do.
 */
export function firstBrokenRow(
  rows: readonly Row[],
  head: { readonly count: number; readonly hash: string },
  start?: string | null,
): number | undefined {
  let previous =
    typeof start === 'string' ? createHash('sha256').update(start).digest() : Buffer.alloc(32);
  for (const [index, row] of rows.entries()) {
    const hash = createHash('sha256').update(previous).update(Buffer.from(row.record)).digest();
    if (row.sequence !== index + 1 || hash.toString('base64url') !== row.hash) return index + 1;
    previous = hash;
  }
  const complete = head.count === rows.length && head.hash === previous.toString('base64url');
  return complete ? undefined : rows.length + 1;
}
