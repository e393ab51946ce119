import type { CertificatePlan } from '../ca/issuer.ts';
import { buryUser } from './bury-user.ts';
import type { CertificateRow } from './certificate-records.ts';
import { findTombstone } from './device-records.ts';
import type { ShardBlock } from './device-shard.ts';
import { examineIssuance } from './examine-issuance.ts';
import type { IssuanceRefusal, IssuanceRequest } from './issuance-request.ts';

export type PlannedCertificate = CertificatePlan & { readonly issuerId: string };

/**
 * First block of issuance: every check, then the intent with the exact bytes to be signed. Nothing is awaited between
 * the limit's check and the intent, and an intent counts. The same key gives the same certificate.
 *
 * @param plan makes serial number and to-be-signed bytes; called only when a certificate will be issued
 */
export function planIssuance(
  block: ShardBlock,
  request: IssuanceRequest,
  plan: () => PlannedCertificate,
): { readonly ok: true; readonly certificateNumber: number } | IssuanceRefusal {
  const { sql, nowMs } = block;
  const examined = examineIssuance(sql, request, nowMs);
  if (!examined.ok) return examined;
  const { existing } = examined;
  const { user = null, userEpoch = 0 } = request;
  if (user !== null) {
    // A newer epoch was given before the older one's tombstone came: it must not outrun what that suspends.
    buryUser(block, user, userEpoch - 1, 'affiliationChanged');
    if (userEpoch <= findTombstone(sql, user))
      return { ok: false, code: 'enrollment_user_inactive' };
  }
  const requested = { requested_user: user, requested_epoch: user === null ? null : userEpoch };

  if (request.authority.type === 'one_time_token') {
    sql.exec(
      `UPDATE enrollment_tokens SET spent_by_spki_sha256 = ?
       WHERE token_sha256 = ? AND spent_by_spki_sha256 IS NULL`,
      request.spkiSha256,
      request.authority.tokenSha256,
    );
  }
  if (existing !== undefined) {
    nameUser(sql, existing, requested);
    return { ok: true, certificateNumber: existing.certificate_number };
  }
  storeDevice(block, request);
  const number = insertIntent(block, plan(), {
    device_id: request.deviceId,
    spki_sha256: request.spkiSha256,
    enrollment_strength: request.strength,
    profile: request.profile,
    integration_id: request.integrationId,
    issued_via: request.via,
    bound_user: null,
    bound_epoch: null,
    ...requested,
  });
  return { ok: true, certificateNumber: number };
}

/** Whoever asked for a certificate first stays the one: another name later would take it out of that user's reach. */
function nameUser(
  sql: SqlStorage,
  existing: CertificateRow,
  { requested_user, requested_epoch }: Pick<CertificateRow, 'requested_user' | 'requested_epoch'>,
): void {
  if (requested_user === null || existing.requested_user !== null) return;
  sql.exec(
    `UPDATE certificates SET requested_user = ?, requested_epoch = ?
     WHERE device_id = ? AND lineage = ? AND bound_user IS NULL AND requested_user IS NULL`,
    requested_user,
    requested_epoch,
    existing.device_id,
    existing.lineage,
  );
}

/** What is known of the device. Facts that name the hardware are never changed once they are there. */
function storeDevice({ sql, nowMs }: ShardBlock, request: IssuanceRequest): void {
  const { authority, management } = request;
  sql.exec(
    `INSERT INTO devices (device_id, serial_number, hardware_uuid, created_at_ms,
       endorsement_key_sha256, management)
     VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (device_id) DO UPDATE SET
       hardware_uuid = COALESCE(hardware_uuid, excluded.hardware_uuid),
       endorsement_key_sha256 = COALESCE(endorsement_key_sha256, excluded.endorsement_key_sha256),
       management = COALESCE(excluded.management, management)
     WHERE (hardware_uuid IS NULL AND excluded.hardware_uuid IS NOT NULL)
       OR (endorsement_key_sha256 IS NULL AND excluded.endorsement_key_sha256 IS NOT NULL)
       OR excluded.management IS NOT NULL`,
    request.deviceId,
    request.serialNumber ?? null,
    request.hardwareUuid ?? null,
    nowMs,
    authority.type === 'hardware_attested' ? authority.endorsementKeySha256 : null,
    management === undefined ? null : JSON.stringify(management),
  );
}

/** What an intent says beyond what is planned. */
export type IntentFields = Pick<
  CertificateRow,
  | 'device_id'
  | 'spki_sha256'
  | 'enrollment_strength'
  | 'profile'
  | 'integration_id'
  | 'issued_via'
  | 'bound_user'
  | 'bound_epoch'
  | 'requested_user'
  | 'requested_epoch'
> &
  /** Of a renewal. */
  Partial<Pick<CertificateRow, 'lineage' | 'supersedes'>>;

/** @returns the number of the certificate that will be */
export function insertIntent(
  { sql, nowMs }: ShardBlock,
  planned: PlannedCertificate,
  fields: IntentFields,
): number {
  const { number } = sql
    .exec<{ number: number }>(
      'SELECT COALESCE(MAX(certificate_number), 0) + 1 AS number FROM certificates',
    )
    .one();
  const columns = {
    certificate_number: number,
    status: 'intent',
    lineage: number,
    supersedes: null,
    ...fields,
    serial_number: planned.serialNumber,
    crl_shard: planned.crlShard,
    issuer_id: planned.issuerId,
    not_before_ms: planned.notBeforeMs,
    not_after_ms: planned.notAfterMs,
    to_be_signed: planned.toBeSigned,
    created_at_ms: nowMs,
  };
  const names = Object.keys(columns);
  sql.exec(
    `INSERT INTO certificates (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`,
    ...Object.values(columns),
  );
  return number;
}
