import { certificateProfiles } from '../ca/certificate-profile.ts';
import {
  type CertificateRow,
  certificatesOfDevice,
  findCertificate,
  holderOf,
  usableUntilMs,
} from './certificate-records.ts';
import { findDevice, findTombstone, sameBytes } from './device-records.ts';
import type { ShardBlock } from './device-shard.ts';
import { isBuried } from './integration-tombstones.ts';
import type { IssuanceRefusal, NewKey, RenewalFacts, RenewalRequest } from './issuance-request.ts';
import { insertIntent, type PlannedCertificate } from './issue-certificate.ts';
import { readManagement } from './management-facts.ts';

/**
 * Certificates of one lineage that count at the same time, with those that are in their overlap. Whoever has a key
 * could otherwise fill a table with renewals.
 */
export const maxUsableOfLineage = 5;

type Examined = {
  readonly ok: true;
  /** The one whose key signed the request. */
  readonly presented: CertificateRow;
  /** The newest of the lineage: what a renewal takes the place of. */
  readonly newest: CertificateRow;
  readonly ofDevice: readonly CertificateRow[];
};

/**
 * May the key of this certificate ask for a renewal? In this order: known, not revoked, not suspended, not expired, not
 * replaced for good, of a device and an integration that still are.
 *
 * A certificate whose overlap has ended may still fetch the one that replaced it under the same key, since an answer
 * can be lost and the device be switched off: it learns nothing that it could not use.
 */
export function examineRenewal(
  sql: SqlStorage,
  { deviceId, certificateSha256 }: Pick<RenewalRequest, 'deviceId' | 'certificateSha256'>,
  nowMs: number,
): Examined | IssuanceRefusal {
  const presented = findCertificate(sql, certificateSha256);
  if (presented === undefined || presented.device_id !== deviceId) {
    return { ok: false, code: 'renewal_certificate_unknown' };
  }
  const holder = holderOf(presented);
  const isVoid = holder !== undefined && holder.epoch <= findTombstone(sql, holder.userId);
  if (presented.status === 'revoked' || isVoid) {
    return { ok: false, code: 'renewal_certificate_revoked' };
  }
  if (findDevice(sql, deviceId)?.status === 'blocked') return { ok: false, code: 'device_blocked' };
  if (presented.status === 'suspended') return { ok: false, code: 'renewal_certificate_suspended' };
  if (presented.not_after_ms < nowMs) return { ok: false, code: 'renewal_certificate_expired' };
  if (isBuried(sql, presented.integration_id)) return { ok: false, code: 'integration_deleted' };
  const ofDevice = certificatesOfDevice(sql, deviceId);
  const newest = ofDevice.findLast(
    (row) => row.lineage === presented.lineage && row.status !== 'revoked',
  );
  const carries =
    newest !== undefined &&
    usableUntilMs(newest) >= nowMs &&
    sameBytes(presented.spki_sha256, newest.spki_sha256);
  if (newest === undefined || (usableUntilMs(presented) < nowMs && !carries)) {
    return { ok: false, code: 'renewal_certificate_superseded' };
  }
  return { ok: true, presented, newest, ofDevice };
}

function isDue(row: CertificateRow, nowMs: number): boolean {
  return nowMs >= row.not_after_ms - certificateProfiles[row.profile].renewBeforeMs;
}

/** What the checks of a renewal need to know before they ask anybody else. */
export function renewalFacts(
  sql: SqlStorage,
  { presented, newest }: Examined,
  nowMs: number,
): RenewalFacts {
  const device = findDevice(sql, presented.device_id);
  const isNewer =
    newest.certificate_number !== presented.certificate_number &&
    sameBytes(presented.spki_sha256, newest.spki_sha256);
  return {
    integrationId: presented.integration_id,
    user: holderOf(presented)?.userId,
    profile: newest.profile,
    issuerId: newest.issuer_id,
    spkiSha256: presented.spki_sha256,
    strength: presented.enrollment_strength,
    via: presented.issued_via,
    due: isDue(newest, nowMs),
    current: isNewer ? (newest.certificate ?? undefined) : undefined,
    serialNumber: device?.serial_number ?? undefined,
    hardwareUuid: device?.hardware_uuid ?? undefined,
    endorsementKeySha256: device?.endorsement_key_sha256 ?? undefined,
    management: readManagement(device?.management ?? null),
  };
}

/**
 * The certificate that the new key has already: the answer to a request whose first answer was lost. No other key is
 * taken from one that was replaced itself: whoever stole that one, and may be why it was replaced, would have the last
 * word.
 */
function examineNewKey(
  { ofDevice, presented, newest }: Examined,
  { spkiSha256 }: NewKey,
  nowMs: number,
): { readonly ok: true; readonly existing: CertificateRow | undefined } | IssuanceRefusal {
  const ofNewKey = ofDevice.filter((row) => sameBytes(row.spki_sha256, spkiSha256));
  if (ofNewKey.some((row) => row.status === 'revoked')) return { ok: false, code: 'key_blocked' };
  if (ofNewKey.some((row) => row.lineage !== presented.lineage)) {
    return { ok: false, code: 'renewal_key_in_use' };
  }
  const existing = ofNewKey.findLast((row) => usableUntilMs(row) >= nowMs);
  return existing === undefined && !sameBytes(presented.spki_sha256, newest.spki_sha256)
    ? { ok: false, code: 'renewal_certificate_superseded' }
    : { ok: true, existing };
}

/** @returns the certificate that there is already, or `undefined` when a new one is to be made */
function findSettled(
  examined: Examined,
  request: RenewalRequest,
  nowMs: number,
): { readonly ok: true; readonly existing: CertificateRow | undefined } | IssuanceRefusal {
  const { presented, newest } = examined;
  const { rekey } = request;
  if (rekey !== undefined && !sameBytes(presented.spki_sha256, rekey.spkiSha256)) {
    return examineNewKey(examined, rekey, nowMs);
  }
  if (!sameBytes(presented.spki_sha256, newest.spki_sha256)) {
    return { ok: false, code: 'renewal_certificate_superseded' };
  }
  const isNewest = newest.certificate_number === presented.certificate_number;
  const settled =
    !request.mayIssue ||
    // What another issuer was to sign is finished later, if ever, and is then an older one of the line.
    (newest.status === 'intent' && newest.issuer_id === request.issuerId) ||
    (newest.status !== 'intent' &&
      !isDue(newest, nowMs) &&
      // Who asks by an older certificate has not had the answer to the request that was made before.
      !(request.forced && isNewest) &&
      newest.issuer_id === request.issuerId &&
      newest.profile === request.profile);
  return { ok: true, existing: settled ? newest : undefined };
}

/**
 * First block of a renewal: every check, then the intent of the successor, in the same lineage and bound like it.
 * `renewed` is false where the certificate that is on record already is the answer.
 *
 * @param plan called only when a certificate will be issued
 */
export function planRenewal(
  block: ShardBlock,
  request: RenewalRequest,
  plan: () => PlannedCertificate,
):
  | { readonly ok: true; readonly certificateNumber: number; readonly renewed: boolean }
  | IssuanceRefusal {
  const { sql, nowMs } = block;
  const examined = examineRenewal(sql, request, nowMs);
  if (!examined.ok) return examined;
  const settled = findSettled(examined, request, nowMs);
  if (!settled.ok) return settled;
  const { existing } = settled;
  if (existing !== undefined) {
    const { certificate_number: certificateNumber, certificate } = existing;
    return { ok: true, certificateNumber, renewed: certificate === null };
  }
  const { presented, newest, ofDevice } = examined;
  const usable = ofDevice.filter(
    (row) =>
      row.lineage === presented.lineage && row.status !== 'revoked' && usableUntilMs(row) >= nowMs,
  );
  if (usable.length >= maxUsableOfLineage) return { ok: false, code: 'renewal_limit_reached' };
  if (request.management !== undefined) {
    sql.exec(
      'UPDATE devices SET management = ? WHERE device_id = ?',
      JSON.stringify(request.management),
      request.deviceId,
    );
  }
  const certificateNumber = insertIntent(block, plan(), {
    device_id: presented.device_id,
    spki_sha256: request.rekey?.spkiSha256 ?? presented.spki_sha256,
    lineage: presented.lineage,
    supersedes: newest.certificate_number,
    enrollment_strength: presented.enrollment_strength,
    profile: request.profile,
    integration_id: presented.integration_id,
    issued_via: request.via,
    bound_user: newest.bound_user,
    bound_epoch: newest.bound_epoch,
    requested_user: newest.requested_user,
    requested_epoch: newest.requested_epoch,
  });
  return { ok: true, certificateNumber, renewed: true };
}
