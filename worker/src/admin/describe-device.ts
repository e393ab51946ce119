import { encodeBase64url } from '@countersign/protocol';
import type { deviceAnswer } from '@countersign/protocol/admin';
import type { PostureSwitches } from '@countersign/protocol/posture';
import type * as z from 'zod/mini';
import { countUnbound, type DescribedCertificate } from '../device/certificate-records.ts';
import type { DeviceRow } from '../device/device-records.ts';
import type { LastResponse } from '../device/last-response.ts';
import { countingReport, readManagement } from '../device/management-facts.ts';
import type { IntegrationStanding } from '../policy/integration-standing.ts';

const hex = (bytes: Uint8Array) =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

const timeOf = (ms: number) => new Date(ms).toISOString();

function describeManagement(column: string | null) {
  const facts = readManagement(column);
  if (facts === undefined) return {};
  const { integration_id, checked_at_ms, mdm_id } = facts;
  return {
    management: {
      integration_id,
      checked_at: timeOf(checked_at_ms),
      ...(mdm_id === undefined ? {} : { mdm_id }),
    },
  };
}

const switchesOf = ({ disk_encryption, firewall, screen_lock }: PostureSwitches) => ({
  ...(disk_encryption === undefined ? {} : { disk_encryption }),
  ...(firewall === undefined ? {} : { firewall }),
  ...(screen_lock === undefined ? {} : { screen_lock }),
});

function describeOwnWord({ recordedAtMs, response }: LastResponse) {
  const { platform, os_version, measured_at } = response.posture;
  return {
    told_at: timeOf(recordedAtMs),
    platform,
    os_version,
    ...switchesOf(response.posture),
    ...(measured_at === undefined ? {} : { measured_at: timeOf(measured_at * 1000) }),
  };
}

/**
 * How a device is kept, by the device and by its management.
 *
 * @param integrations as they stand now, whoever signs in
 */
export function describePosture(
  { management }: Pick<DeviceRow, 'management'>,
  lastResponse: LastResponse | undefined,
  integrations: readonly IntegrationStanding[],
  nowMs: number,
): Pick<z.infer<typeof deviceAnswer>, 'posture'> {
  const facts = readManagement(management);
  const report = facts?.posture;
  if (lastResponse === undefined && report === undefined) return {};
  return {
    posture: {
      ...(lastResponse === undefined ? {} : { device: describeOwnWord(lastResponse) }),
      ...(report === undefined
        ? {}
        : {
            mdm: {
              reported_at: timeOf(report.reported_at_ms),
              counts: countingReport(facts, integrations, nowMs) !== undefined,
              ...(report.platform === undefined ? {} : { platform: report.platform }),
              ...(report.os_version === undefined ? {} : { os_version: report.os_version }),
              ...switchesOf(report),
            },
          }),
    },
  };
}

/** What an administrator sees of a device. Intents without a certificate are listed too: they count toward the limit. */
export function describeDevice(
  device: DeviceRow,
  certificates: readonly DescribedCertificate[],
  nowMs: number,
): z.infer<typeof deviceAnswer> {
  return {
    device_id: device.device_id,
    hardware_id: {
      ...(device.serial_number === null ? {} : { serial_number: device.serial_number }),
      ...(device.hardware_uuid === null ? {} : { hardware_uuid: device.hardware_uuid }),
    },
    created_at: timeOf(device.created_at_ms),
    status: device.status,
    ...(device.blocked_reason === null ? {} : { blocked_reason: device.blocked_reason }),
    ...(device.endorsement_key_sha256 === null
      ? {}
      : { endorsement_key_sha256: encodeBase64url(device.endorsement_key_sha256) }),
    ...describeManagement(device.management),
    unbound_certificates: countUnbound(certificates, nowMs),
    certificates: certificates.map((row) => ({
      fingerprint_sha256:
        row.certificate_sha256 === null ? '' : encodeBase64url(row.certificate_sha256),
      serial_number: hex(row.serial_number),
      status: row.status,
      not_before: timeOf(row.not_before_ms),
      not_after: timeOf(row.not_after_ms),
      enrollment_strength: row.enrollment_strength,
      profile: row.profile,
      issued_via: row.issued_via,
      issuer_id: row.issuer_id,
      ...(row.integration_id === '' ? {} : { integration_id: row.integration_id }),
      lineage: row.lineage,
      ...(row.usable_until_ms === null ? {} : { usable_until: timeOf(row.usable_until_ms) }),
      ...(row.revoked_at_ms === null ? {} : { revoked_at: timeOf(row.revoked_at_ms) }),
      ...(row.revocation_reason === null ? {} : { revocation_reason: row.revocation_reason }),
      ...(row.bound_user === null ? {} : { bound_user: row.bound_user }),
      ...(row.requested_user === null ? {} : { requested_user: row.requested_user }),
      ...(row.bindingEnded ? { binding_ended: true as const } : {}),
    })),
  };
}
