import { encodeBase64url } from '@countersign/protocol';
import type { ShardBlock } from './device-shard.ts';
import type { IssuanceRequest } from './issuance-request.ts';

/**
 * Enrollments that an administrator has to agree to: whoever has the organization's secret could otherwise put a key of
 * their own beside that of a device in use.
 */

type Named = Pick<IssuanceRequest, 'deviceId' | 'spkiSha256'>;

export type PendingApproval = {
  readonly deviceId: string;
  readonly spkiSha256: Uint8Array;
  readonly requestedAtMs: number;
};

export function isApproved(sql: SqlStorage, { deviceId, spkiSha256 }: Named): boolean {
  return (
    sql
      .exec(
        `SELECT 1 FROM enrollment_approvals
         WHERE device_id = ? AND spki_sha256 = ? AND approved_at_ms IS NOT NULL`,
        deviceId,
        spkiSha256,
      )
      .toArray().length > 0
  );
}

/** Of one device; with more, the oldest makes room, so that nobody can keep an honest request out. */
const maxPendingPerDevice = 5;

export function requestApproval({ sql, nowMs }: ShardBlock, { deviceId, spkiSha256 }: Named): void {
  sql.exec(
    `INSERT INTO enrollment_approvals (device_id, spki_sha256, requested_at_ms) VALUES (?, ?, ?)
     ON CONFLICT DO NOTHING`,
    deviceId,
    spkiSha256,
    nowMs,
  );
  sql.exec(
    `DELETE FROM enrollment_approvals
     WHERE device_id = ?1 AND approved_at_ms IS NULL AND spki_sha256 NOT IN (
       SELECT spki_sha256 FROM enrollment_approvals WHERE device_id = ?1 AND approved_at_ms IS NULL
       ORDER BY requested_at_ms DESC LIMIT ${maxPendingPerDevice}
     )`,
    deviceId,
  );
}

/**
 * Agrees to what was requested. Idempotent.
 *
 * @returns false when nothing of this device and key was requested
 */
export function approveEnrollment(
  block: ShardBlock,
  { deviceId, spkiSha256 }: Named,
  adminId: string | undefined,
): boolean {
  const { sql, nowMs } = block;
  const known = sql
    .exec<{ approved_at_ms: number | null }>(
      'SELECT approved_at_ms FROM enrollment_approvals WHERE device_id = ? AND spki_sha256 = ?',
      deviceId,
      spkiSha256,
    )
    .toArray();
  if (known.length === 0) return false;
  if (known[0]?.approved_at_ms !== null) return true;
  sql.exec(
    'UPDATE enrollment_approvals SET approved_at_ms = ? WHERE device_id = ? AND spki_sha256 = ?',
    nowMs,
    deviceId,
    spkiSha256,
  );
  block.log({
    event_type: 'device.enrollment.approve',
    outcome: 'SUCCESS',
    actor: { type: 'admin', ...(adminId === undefined ? {} : { id: adminId }) },
    debug_data: { device_id: deviceId, spki_sha256: encodeBase64url(spkiSha256) },
  });
  return true;
}

/** What waits for an administrator in this shard, oldest first. */
export function pendingApprovals(sql: SqlStorage, limit: number): PendingApproval[] {
  return sql
    .exec<{ device_id: string; spki_sha256: ArrayBuffer; requested_at_ms: number }>(
      `SELECT device_id, spki_sha256, requested_at_ms FROM enrollment_approvals
       WHERE approved_at_ms IS NULL ORDER BY requested_at_ms, device_id LIMIT ?`,
      limit,
    )
    .toArray()
    .map((row) => ({
      deviceId: row.device_id,
      spkiSha256: new Uint8Array(row.spki_sha256),
      requestedAtMs: row.requested_at_ms,
    }));
}
