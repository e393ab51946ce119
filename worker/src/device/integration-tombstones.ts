import { selectCertificates } from './certificate-records.ts';
import { revokeRows } from './change-standing.ts';
import type { ShardBlock } from './device-shard.ts';

/** Has the integration been deleted, as far as this shard knows? Nothing is issued for it ever again. */
export function isBuried(sql: SqlStorage, integrationId: string): boolean {
  return (
    sql
      .exec('SELECT 1 FROM integration_tombstones WHERE integration_id = ?', integrationId)
      .toArray().length > 0
  );
}

/** One block ends this many certificates: with their lines in the log they are about as many rows as one commit bears. */
const certificatesPerBlock = 200;

/**
 * Ends an integration in this shard for ever: from the first block on nothing is issued for it, and what was issued,
 * intents included, is revoked block by block.
 *
 * @returns true while there is more to revoke
 */
export function buryIntegration(block: ShardBlock, integrationId: string): boolean {
  block.sql.exec(
    'INSERT INTO integration_tombstones (integration_id) VALUES (?) ON CONFLICT DO NOTHING',
    integrationId,
  );
  const rows = selectCertificates(
    block.sql,
    `certificate_number IN (
       SELECT certificate_number FROM certificates
       WHERE integration_id = ? AND status <> 'revoked' LIMIT ?
     )`,
    integrationId,
    certificatesPerBlock + 1,
  );
  revokeRows(block, rows.slice(0, certificatesPerBlock), {
    reason: 'cessationOfOperation',
    actor: { type: 'integration', id: integrationId },
  });
  return rows.length > certificatesPerBlock;
}
