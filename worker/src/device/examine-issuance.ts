import { maxUnboundCertificates } from '@countersign/protocol/limits';
import {
  type CertificateRow,
  certificatesOfDevice,
  countUnbound,
  usableUntilMs,
} from './certificate-records.ts';
import { type DeviceRow, findDevice, findToken, sameBytes } from './device-records.ts';
import { isApproved } from './enrollment-approvals.ts';
import { isBuried } from './integration-tombstones.ts';
import type { IssuanceRefusal, IssuanceRequest } from './issuance-request.ts';

/** Does the token permit this device and key? Other authorities have been checked before the shard is asked. */
function checkAuthority(
  sql: SqlStorage,
  { authority, deviceId, spkiSha256, integrationId, user }: IssuanceRequest,
  nowMs: number,
): { readonly ok: true; readonly alreadySpent: boolean } | IssuanceRefusal {
  if (authority.type !== 'one_time_token') return { ok: true, alreadySpent: false };
  const token = findToken(sql, authority.tokenSha256);
  if (
    token === undefined ||
    token.device_id !== deviceId ||
    token.integration_id !== integrationId ||
    (token.user_id !== null && token.user_id !== user)
  ) {
    return { ok: false, code: 'enrollment_token_invalid' };
  }
  if (token.spent_by_spki_sha256 !== null) {
    // A lost answer makes an honest host ask again with the same key, at any later time.
    return sameBytes(token.spent_by_spki_sha256, spkiSha256)
      ? { ok: true, alreadySpent: true }
      : { ok: false, code: 'enrollment_token_spent' };
  }
  return nowMs > token.expires_at_ms
    ? { ok: false, code: 'enrollment_token_expired' }
    : { ok: true, alreadySpent: false };
}

/**
 * A second machine with the serial number of a device on record, or one whose main board, and with it perhaps its TPM,
 * was replaced.
 */
function conflictsWithRecord(device: DeviceRow | undefined, request: IssuanceRequest): boolean {
  if (device === undefined) return false;
  const { authority, hardwareUuid } = request;
  const otherBoard =
    device.hardware_uuid !== null &&
    hardwareUuid !== undefined &&
    device.hardware_uuid !== hardwareUuid;
  const otherTpm =
    authority.type === 'hardware_attested' &&
    device.endorsement_key_sha256 !== null &&
    !sameBytes(device.endorsement_key_sha256, authority.endorsementKeySha256);
  return otherBoard || otherTpm;
}

/** The newest certificate of this key that still counts; renewals keep the key. */
function findExisting(ofThisKey: readonly CertificateRow[], nowMs: number) {
  return ofThisKey.findLast((row) => usableUntilMs(row) >= nowMs);
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
  const permitted = checkAuthority(sql, request, nowMs);
  if (!permitted.ok) return permitted;
  const device = findDevice(sql, request.deviceId);
  if (device?.status === 'blocked') return { ok: false, code: 'device_blocked' };
  if (isBuried(sql, request.integrationId)) return { ok: false, code: 'integration_deleted' };
  if (conflictsWithRecord(device, request)) return { ok: false, code: 'hardware_id_duplicate' };

  const certificates = certificatesOfDevice(sql, request.deviceId);
  const ofThisKey = certificates.filter((row) => sameBytes(row.spki_sha256, request.spkiSha256));
  if (ofThisKey.some((row) => row.status === 'revoked')) return { ok: false, code: 'key_blocked' };
  const existing = findExisting(ofThisKey, nowMs);
  if (existing !== undefined) return { ok: true, existing };
  // What it was spent on has expired; one token never gives a second certificate.
  if (permitted.alreadySpent) return { ok: false, code: 'enrollment_token_spent' };
  const hasAnother = certificates.some(
    (row) => row.status !== 'revoked' && usableUntilMs(row) >= nowMs,
  );
  if (request.requiresApproval && hasAnother && !isApproved(sql, request)) {
    return { ok: false, code: 'enrollment_approval_needed' };
  }
  if (countUnbound(certificates, nowMs) >= maxUnboundCertificates) {
    return { ok: false, code: 'enrollment_limit_reached' };
  }
  return { ok: true, existing: undefined };
}
