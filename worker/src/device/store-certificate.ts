import type { SystemLogEventType } from '../audit/system-log-event.ts';
import { certificateProfiles } from '../ca/certificate-profile.ts';
import { certificateEvent } from './certificate-event.ts';
import {
  type CertificateRow,
  certificatesOfLineage,
  findCertificateByNumber,
} from './certificate-records.ts';
import { publishLater, standingWithoutHold } from './change-standing.ts';
import { sameBytes } from './device-records.ts';
import type { ShardBlock } from './device-shard.ts';

/**
 * Second block: stores the signed certificate, unless a parallel retry has stored its own signature over the same
 * bytes first. From then on the certificates before it in its lineage count for an overlap only.
 *
 * @returns the one certificate on record; `undefined` when it was revoked before its signature came
 */
export function storeCertificate(
  block: ShardBlock,
  certificateNumber: number,
  certificate: Uint8Array,
  certificateSha256: Uint8Array,
): CertificateRow | undefined {
  const row = findCertificateByNumber(block.sql, certificateNumber);
  if (row === undefined || row.certificate !== null) return row;
  // One that was suspended before its signature came stays suspended.
  if (row.status !== 'intent' && row.status !== 'suspended') return undefined;
  const stored = { ...row, certificate, certificate_sha256: certificateSha256, to_be_signed: null };
  const status = row.status === 'suspended' ? 'suspended' : standingWithoutHold(stored);
  block.sql.exec(
    `UPDATE certificates SET status = ?, certificate = ?, certificate_sha256 = ?, to_be_signed = NULL
     WHERE certificate_number = ?`,
    status,
    certificate,
    certificateSha256,
    certificateNumber,
  );
  publishLater(block, certificateNumber);
  logIssuance(block, stored);
  if (row.supersedes !== null) supersedeOlder(block, stored);
  return findCertificateByNumber(block.sql, certificateNumber);
}

function logIssuance(block: ShardBlock, row: CertificateRow): void {
  const actor = { type: 'device', id: row.device_id } as const;
  const types: SystemLogEventType[] =
    row.supersedes === null ? ['user.credential.enroll', 'pki.cert.issue'] : ['pki.cert.renew'];
  for (const event_type of types) block.log(certificateEvent(row, { event_type, actor }));
}

/** Of the certificates of a lineage that are signed, the newest takes the place of all others, whichever came last. */
function supersedeOlder(block: ShardBlock, stored: CertificateRow): void {
  const signed = certificatesOfLineage(block.sql, stored).filter((row) => row.certificate !== null);
  const newest = signed.at(-1);
  if (newest === undefined) return;
  for (const row of signed.slice(0, -1)) {
    if (row.usable_until_ms !== null || row.status === 'revoked') continue;
    const { overlapMs } = certificateProfiles[row.profile];
    block.sql.exec(
      `UPDATE certificates SET usable_until_ms = ?, status = ? WHERE certificate_number = ?`,
      Math.min(row.not_after_ms, block.nowMs + overlapMs),
      row.status === 'suspended' ? 'suspended' : 'superseded',
      row.certificate_number,
    );
    // Every renewal supersedes; only a change of keys is worth a line of its own.
    if (!sameBytes(row.spki_sha256, newest.spki_sha256)) {
      const actor = { type: 'device', id: row.device_id } as const;
      block.log(certificateEvent(row, { event_type: 'pki.cert.supersede', actor }));
    }
  }
}
