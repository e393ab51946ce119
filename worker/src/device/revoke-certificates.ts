import {
  type CertificateRow,
  certificatesOfDevice,
  certificatesOfLineage,
  findCertificate,
} from './certificate-records.ts';
import { holdRows, releaseRows, revokeRows } from './change-standing.ts';
import { findDevice } from './device-records.ts';
import type { ShardBlock } from './device-shard.ts';
import type { IssuanceRefusal, RevocationOrder } from './issuance-request.ts';

/** `changed` counts certificates; 0 when all was so already. */
export type StandingAnswer = { readonly ok: true; readonly changed: number } | IssuanceRefusal;

type Actor = RevocationOrder['actor'];
type Named = { readonly deviceId: string; readonly certificateSha256: Uint8Array };

/** A certificate with all that renewed it or was renewed by it: what an order about one of them is about. */
function findLineage(sql: SqlStorage, { deviceId, certificateSha256 }: Named) {
  const row = findCertificate(sql, certificateSha256);
  return row === undefined || row.device_id !== deviceId
    ? undefined
    : certificatesOfLineage(sql, row);
}

const notFound = { ok: false, code: 'certificate_not_found' } as const;

function changeLineage(
  { sql }: ShardBlock,
  named: Named,
  change: (rows: CertificateRow[]) => number,
): StandingAnswer {
  const rows = findLineage(sql, named);
  return rows === undefined ? notFound : { ok: true, changed: change(rows) };
}

/** Revokes a certificate's whole lineage, a renewal that is being signed included. */
export function revokeLineage(block: ShardBlock, named: Named, order: RevocationOrder) {
  return changeLineage(block, named, (rows) => revokeRows(block, rows, order));
}

/** Suspends a certificate's whole lineage until it is released. */
export function holdLineage(block: ShardBlock, named: Named, actor: Actor) {
  return changeLineage(block, named, (rows) => holdRows(block, rows, actor));
}

export function releaseLineage(block: ShardBlock, named: Named, actor: Actor) {
  return changeLineage(block, named, (rows) => releaseRows(block, rows, actor));
}

/**
 * Revokes every certificate of a device; blocked, it gets no new one either.
 *
 * @param blockedReason why it is blocked; `undefined`: it may enroll again
 */
export function revokeDevice(
  block: ShardBlock,
  deviceId: string,
  order: RevocationOrder,
  blockedReason: string | undefined,
): StandingAnswer {
  const { sql } = block;
  const device = findDevice(sql, deviceId);
  if (device === undefined) return { ok: false, code: 'device_not_found' };
  const changed = revokeRows(block, certificatesOfDevice(sql, deviceId), order);
  if (blockedReason === undefined || device.status === 'blocked') return { ok: true, changed };
  sql.exec(
    `UPDATE devices SET status = 'blocked', blocked_reason = ? WHERE device_id = ?`,
    blockedReason,
    deviceId,
  );
  logDevice(block, 'device.block', deviceId, order.actor, blockedReason);
  return { ok: true, changed };
}

/** Lets a blocked device enroll again. What was revoked stays so. */
export function unblockDevice(block: ShardBlock, deviceId: string, actor: Actor): StandingAnswer {
  const device = findDevice(block.sql, deviceId);
  if (device === undefined) return { ok: false, code: 'device_not_found' };
  if (device.status === 'active') return { ok: true, changed: 0 };
  block.sql.exec(
    `UPDATE devices SET status = 'active', blocked_reason = NULL WHERE device_id = ?`,
    deviceId,
  );
  logDevice(block, 'device.unblock', deviceId, actor, undefined);
  return { ok: true, changed: 0 };
}

function logDevice(
  block: ShardBlock,
  event_type: 'device.block' | 'device.unblock',
  deviceId: string,
  actor: Actor,
  reason: string | undefined,
): void {
  block.log({
    event_type,
    outcome: 'SUCCESS',
    ...(reason === undefined ? {} : { reason }),
    actor,
    debug_data: { device_id: deviceId },
  });
}

/** The MDM no longer manages the device: what was issued through it ends. Idempotent. */
export function endManagement(
  block: ShardBlock,
  deviceId: string,
  integrationId: string,
  reason: RevocationOrder['reason'],
): StandingAnswer {
  const rows = certificatesOfDevice(block.sql, deviceId).filter(
    (row) => row.integration_id === integrationId,
  );
  const actor = { type: 'integration', id: integrationId } as const;
  return { ok: true, changed: revokeRows(block, rows, { reason, actor }) };
}
