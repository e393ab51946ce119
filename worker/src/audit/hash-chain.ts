import { createHash } from 'node:crypto';

/**
 * The hash chain over one shard's decision rows: `hash(n) = SHA-256(hash(n − 1) ‖ UTF-8 of record n)`, starting from
 * 32 zero bytes. A changed, missing or reordered row breaks every hash after it; a cut-off end shows against a head
 * that was kept elsewhere.
 */
export type ChainHead = {
  /** Number of rows; also the sequence number of the newest one, 0 when there is none. */
  readonly count: number;
  readonly hash: Uint8Array;
};

export const emptyChain: ChainHead = { count: 0, hash: new Uint8Array(32) };

/** The head after appending `record`. Synchronous, because it runs between a check and its write. */
export function extendChain(head: ChainHead, record: string): ChainHead {
  const hash = createHash('sha256').update(head.hash).update(record, 'utf8').digest();
  return { count: head.count + 1, hash: new Uint8Array(hash) };
}
