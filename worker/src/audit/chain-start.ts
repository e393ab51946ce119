import { createHash } from 'node:crypto';
import { encodeBase64url } from '@countersign/protocol';
import canonicalize from 'canonicalize';
import type { ChainHead } from './hash-chain.ts';

/** A chain that ended with an import: its rows are kept as they were, beside the chain that goes on. */
export type ArchivedChain = ChainHead & { readonly chainId: string };

/** What a chain of decisions begins with: usually nothing, after an import the heads of the chains before it. */
export type ChainStart = {
  /** Canonical JSON (RFC 8785). */
  readonly record: string;
  readonly hash: Uint8Array;
};

/**
 * The beginning of a shard's chain after an import. Its hash takes the place of the 32 zero bytes, so that no archived
 * row can be changed without breaking the chain that is being written.
 */
export function makeChainStart(
  shard: number,
  importId: string,
  archived: readonly ArchivedChain[],
): ChainStart {
  const record = canonicalize({
    v: 1,
    shard,
    import_id: importId,
    chains: archived.map(({ chainId, count, hash }) => ({
      chain_id: chainId,
      count,
      hash: encodeBase64url(hash),
    })),
  });
  if (record === undefined) throw new TypeError('the start of a chain is always serializable');
  return { record, hash: new Uint8Array(createHash('sha256').update(record, 'utf8').digest()) };
}

/** Where an empty chain of this object begins; `undefined` for one that was never imported into. */
export function readChainStart(sql: SqlStorage): ChainStart | undefined {
  const [row] = sql
    .exec<{ record: string; hash: ArrayBuffer }>('SELECT record, hash FROM chain_start')
    .toArray();
  return row === undefined ? undefined : { record: row.record, hash: new Uint8Array(row.hash) };
}
