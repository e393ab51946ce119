import type { DecisionReceiptClaims } from '@countersign/policy';
import type { ExportedChain } from '../verify-audit/index.ts';

/** `found`: the log has this very row. `changed`: it has another one in its place. */
export type InLog = 'found' | 'changed' | 'missing';

const isNumberOf = (number: string, archived: string) => archived.endsWith(`.${number}`);

/**
 * Looks a receipt's row up in an exported log. A shard's chain has its number while it is written, and another name once
 * an import has archived it: receipt and log may each be from before that, or after.
 */
export async function findInLog(
  { chain, sequence, record, hash }: DecisionReceiptClaims['row'],
  chains: readonly ExportedChain[],
): Promise<InLog> {
  let found: InLog = 'missing';
  for (const { name, rows } of chains) {
    if (name !== chain && !isNumberOf(chain, name) && !isNumberOf(name, chain)) continue;
    for await (const row of rows) {
      if (row.sequence !== sequence) continue;
      if (row.record === record && row.hash === hash) return 'found';
      found = 'changed';
    }
  }
  return found;
}
