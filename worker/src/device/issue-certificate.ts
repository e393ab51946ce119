import type { ProblemCode } from '@countersign/protocol';
import { maxUnboundCertificates } from '@countersign/protocol/limits';
import {
  type CertificateRow,
  certificatesOfDevice,
  countUnbound,
  findCertificateByNumber,
  findDevice,
  findToken,
  sameBytes,
} from './device-records.ts';

/** What enrollment has established about a request before the device's shard is asked. */
export type IssuanceRequest = {
  readonly deviceId: string;
  readonly serialNumber: string | undefined;
  readonly hardwareUuid: string | undefined;
  readonly tokenSha256: Uint8Array;
  readonly subjectPublicKeyInfo: Uint8Array;
  readonly spkiSha256: Uint8Array;
};

export type PlannedCertificate = {
  readonly serialNumber: Uint8Array;
  readonly toBeSigned: Uint8Array;
  readonly issuerId: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
};

export type IssuanceRefusal = { readonly ok: false; readonly code: ProblemCode };

/** Does the token permit this device and key? */
function checkToken(
  sql: SqlStorage,
  request: Pick<IssuanceRequest, 'deviceId' | 'tokenSha256' | 'spkiSha256'>,
  nowMs: number,
): { readonly ok: true; readonly alreadySpent: boolean } | IssuanceRefusal {
  const token = findToken(sql, request.tokenSha256);
  if (token === undefined || token.device_id !== request.deviceId) {
    return { ok: false, code: 'enrollment_token_invalid' };
  }
  if (token.spent_by_spki_sha256 !== null) {
    // A lost answer makes an honest host ask again with the same key, at any later time.
    return sameBytes(token.spent_by_spki_sha256, request.spkiSha256)
      ? { ok: true, alreadySpent: true }
      : { ok: false, code: 'enrollment_token_spent' };
  }
  return nowMs > token.expires_at_ms
    ? { ok: false, code: 'enrollment_token_expired' }
    : { ok: true, alreadySpent: false };
}

/** A second machine with the serial number of a device on record, or one whose main board was replaced. */
function conflictsWithRecord(sql: SqlStorage, request: IssuanceRequest): boolean {
  const device = findDevice(sql, request.deviceId);
  return (
    device !== undefined &&
    device.hardware_uuid !== null &&
    request.hardwareUuid !== undefined &&
    device.hardware_uuid !== request.hardwareUuid
  );
}

/**
 * Every check of an issuance, reading only: asked before anything is written anywhere, so that neither a stranger nor
 * the holder of one token fills a table, and again in the block that writes.
 */
export function examineIssuance(
  sql: SqlStorage,
  request: IssuanceRequest,
  nowMs: number,
): { readonly ok: true; readonly existing: CertificateRow | undefined } | IssuanceRefusal {
  const permitted = checkToken(sql, request, nowMs);
  if (!permitted.ok) return permitted;
  if (conflictsWithRecord(sql, request)) return { ok: false, code: 'hardware_id_duplicate' };

  const certificates = certificatesOfDevice(sql, request.deviceId);
  const ofThisKey = certificates.filter((row) => sameBytes(row.spki_sha256, request.spkiSha256));
  if (ofThisKey.some((row) => row.status === 'revoked')) return { ok: false, code: 'key_blocked' };
  const existing = ofThisKey.find((row) => row.not_after_ms >= nowMs);
  if (existing === undefined && permitted.alreadySpent) {
    // What it was spent on has expired; one token never gives a second certificate.
    return { ok: false, code: 'enrollment_token_spent' };
  }
  if (existing === undefined && countUnbound(certificates, nowMs) >= maxUnboundCertificates) {
    return { ok: false, code: 'enrollment_limit_reached' };
  }
  return { ok: true, existing };
}

/**
 * First block of issuance: every check, then the intent with the exact bytes to be signed. Nothing is awaited between
 * the limit's check and the intent, and an intent counts. The same key gives the same certificate.
 *
 * @param plan makes serial number and to-be-signed bytes; called only when a certificate will be issued
 */
export function planIssuance(
  sql: SqlStorage,
  request: IssuanceRequest,
  plan: () => PlannedCertificate,
  nowMs: number,
): { readonly ok: true; readonly certificateNumber: number } | IssuanceRefusal {
  const examined = examineIssuance(sql, request, nowMs);
  if (!examined.ok) return examined;
  const { existing } = examined;

  sql.exec(
    `UPDATE enrollment_tokens SET spent_by_spki_sha256 = ?
     WHERE token_sha256 = ? AND spent_by_spki_sha256 IS NULL`,
    request.spkiSha256,
    request.tokenSha256,
  );
  if (existing !== undefined) {
    return { ok: true, certificateNumber: existing.certificate_number };
  }
  sql.exec(
    `INSERT INTO devices (device_id, serial_number, hardware_uuid, created_at_ms)
     VALUES (?, ?, ?, ?) ON CONFLICT (device_id) DO UPDATE SET hardware_uuid = excluded.hardware_uuid
     WHERE hardware_uuid IS NULL AND excluded.hardware_uuid IS NOT NULL`,
    request.deviceId,
    request.serialNumber ?? null,
    request.hardwareUuid ?? null,
    nowMs,
  );
  return { ok: true, certificateNumber: insertIntent(sql, request, plan(), nowMs) };
}

function insertIntent(
  sql: SqlStorage,
  request: IssuanceRequest,
  planned: PlannedCertificate,
  nowMs: number,
): number {
  const number = sql
    .exec<{ number: number }>(
      'SELECT COALESCE(MAX(certificate_number), 0) + 1 AS number FROM certificates',
    )
    .one().number;
  sql.exec(
    `INSERT INTO certificates (certificate_number, device_id, status, spki_sha256, serial_number,
       issuer_id, not_before_ms, not_after_ms, lineage, enrollment_strength, created_at_ms,
       to_be_signed)
     VALUES (?, ?, 'intent', ?, ?, ?, ?, ?, ?, 'one_time_token', ?, ?)`,
    number,
    request.deviceId,
    request.spkiSha256,
    planned.serialNumber,
    planned.issuerId,
    planned.notBeforeMs,
    planned.notAfterMs,
    number,
    nowMs,
    planned.toBeSigned,
  );
  return number;
}

/**
 * Second block: stores the signed certificate, unless a parallel retry has stored its own signature over the same
 * bytes first. Returns the one certificate on record.
 */
export function storeCertificate(
  sql: SqlStorage,
  certificateNumber: number,
  certificate: Uint8Array,
  certificateSha256: Uint8Array,
): Uint8Array | undefined {
  const row = findCertificateByNumber(sql, certificateNumber);
  if (row === undefined) return undefined;
  if (row.certificate !== null) return row.certificate;
  // One that was suspended before its signature came stays suspended.
  if (row.status !== 'intent' && row.status !== 'suspended') return undefined;
  sql.exec(
    `UPDATE certificates SET status = CASE status WHEN 'intent' THEN 'issued' ELSE status END,
       certificate = ?, certificate_sha256 = ?, to_be_signed = NULL
     WHERE certificate_number = ? AND certificate IS NULL`,
    certificate,
    certificateSha256,
    certificateNumber,
  );
  return certificate;
}

/** Ends the standing of one certificate at once. Idempotent. */
export function revokeCertificate(
  sql: SqlStorage,
  row: CertificateRow,
  reason: string,
  nowMs: number,
): void {
  sql.exec(
    `UPDATE certificates SET status = 'revoked', revoked_at_ms = ?, revocation_reason = ?
     WHERE certificate_number = ? AND status <> 'revoked'`,
    nowMs,
    reason,
    row.certificate_number,
  );
}
