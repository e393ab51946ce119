import canonicalize from 'canonicalize';
import { type ChainHead, extendChain } from './hash-chain.ts';

/** What is looked up of a row without reading its record. */
export type RowKey = {
  /** A challenge's id, or a random one. */
  readonly id: string;
  /** Empty where no device is named. */
  readonly device_id: string;
  readonly stage: 0 | 1;
};

/**
 * Appends a row to the chain in this object's `decisions` table. Throws on a key that is already there: the caller has
 * looked before.
 *
 * @param record of which the canonical JSON (RFC 8785) is stored, and covered by the chain
 * @returns the new head
 */
export function appendRow(
  sql: SqlStorage,
  head: ChainHead,
  { id, device_id, stage }: RowKey,
  record: { readonly sequence: number },
): ChainHead {
  const text = canonicalize(record);
  if (text === undefined) throw new TypeError('a record is always serializable');
  const newHead = extendChain(head, text);
  sql.exec(
    `INSERT INTO decisions (sequence, challenge_id, device_id, stage, record, hash)
     VALUES (?, ?, ?, ?, ?, ?)`,
    record.sequence,
    id,
    device_id,
    stage,
    text,
    newHead.hash,
  );
  return newHead;
}
