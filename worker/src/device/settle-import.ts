import { holderEpochSql, holderSql, selectCertificates } from './certificate-records.ts';
import { revokeRows } from './change-standing.ts';
import { readChainHead } from './decision-record.ts';
import type { ShardBlock } from './device-shard.ts';

/**
 * What follows from imported rows, once all of them are here: what a tombstone that was still on its way ends is
 * revoked, and every certificate's standing is published again, since lists and responders are not part of an export.
 * Idempotent.
 */
export function settleImport(block: ShardBlock): void {
  block.head = readChainHead(block.sql);
  const actor = { type: 'system' } as const;
  const ofUsers = selectCertificates(
    block.sql,
    `status <> 'revoked' AND EXISTS (
       SELECT 1 FROM user_tombstones WHERE user_id = ${holderSql} AND epoch >= ${holderEpochSql}
     )`,
  );
  revokeRows(block, ofUsers, { reason: 'affiliationChanged', actor });
  const ofIntegrations = selectCertificates(
    block.sql,
    `status <> 'revoked' AND integration_id IN (SELECT integration_id FROM integration_tombstones)`,
  );
  revokeRows(block, ofIntegrations, { reason: 'cessationOfOperation', actor });
  block.sql.exec(
    `INSERT INTO pki_outbox (certificate_number) SELECT certificate_number FROM certificates
     WHERE certificate IS NOT NULL OR status = 'revoked' ON CONFLICT DO NOTHING`,
  );
}
