import { certificateEvent } from './certificate-event.ts';
import type { CertificateRow } from './certificate-records.ts';
import type { ShardBlock } from './device-shard.ts';
import type { RevocationOrder } from './issuance-request.ts';

/**
 * Every change of a certificate's standing that the world is to know of: the row, its place in the outbox and its line
 * in the log, in the block of the caller.
 */

/** The standing of this certificate is to be published, as it is when that is done. */
export function publishLater({ sql }: ShardBlock, certificateNumber: number): void {
  sql.exec(
    'INSERT INTO pki_outbox (certificate_number) VALUES (?) ON CONFLICT DO NOTHING',
    certificateNumber,
  );
}

function changeStatus(block: ShardBlock, row: CertificateRow, status: CertificateRow['status']) {
  block.sql.exec(
    `UPDATE certificates SET status = ?, status_version = status_version + 1,
       standing_changed_at_ms = ? WHERE certificate_number = ?`,
    status,
    block.nowMs,
    row.certificate_number,
  );
  publishLater(block, row.certificate_number);
}

/**
 * Ends the standing of these certificates for ever; those that are revoked already keep their reason. One whose
 * signature is being made is never given out.
 *
 * @returns how many were revoked now
 */
export function revokeRows(
  block: ShardBlock,
  rows: readonly CertificateRow[],
  { reason, actor }: RevocationOrder,
): number {
  const live = rows.filter(({ status }) => status !== 'revoked');
  for (const row of live) {
    block.sql.exec(
      `UPDATE certificates SET status = 'revoked', revoked_at_ms = ?, revocation_reason = ?,
         status_version = status_version + 1, standing_changed_at_ms = ?
       WHERE certificate_number = ?`,
      block.nowMs,
      reason,
      block.nowMs,
      row.certificate_number,
    );
    publishLater(block, row.certificate_number);
    block.log(certificateEvent(row, { event_type: 'pki.cert.revoke', actor, reason }));
  }
  return live.length;
}

/** @returns how many are on hold now that were not before */
export function holdRows(
  block: ShardBlock,
  rows: readonly CertificateRow[],
  actor: RevocationOrder['actor'],
): number {
  const live = rows.filter(({ status }) => status !== 'revoked' && status !== 'suspended');
  for (const row of live) {
    changeStatus(block, row, 'suspended');
    block.log(certificateEvent(row, { event_type: 'pki.cert.hold', actor }));
  }
  return live.length;
}

/** What a certificate is once nothing holds it: all that it was before is in its row. */
export function standingWithoutHold(row: CertificateRow): CertificateRow['status'] {
  if (row.certificate === null) return 'intent';
  if (row.usable_until_ms !== null) return 'superseded';
  return row.bound_user === null ? 'issued' : 'bound';
}

/** @returns how many were on hold */
export function releaseRows(
  block: ShardBlock,
  rows: readonly CertificateRow[],
  actor: RevocationOrder['actor'],
): number {
  const held = rows.filter(({ status }) => status === 'suspended');
  for (const row of held) {
    changeStatus(block, row, standingWithoutHold(row));
    block.log(certificateEvent(row, { event_type: 'pki.cert.release', actor }));
  }
  return held.length;
}
