import { encodeBase64url } from '@countersign/protocol';
import type { deviceAnswer } from '@countersign/protocol/admin';
import type * as z from 'zod/mini';
import {
  countUnbound,
  type DescribedCertificate,
  type DeviceRow,
} from '../device/device-records.ts';

const hex = (bytes: Uint8Array) =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

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
    created_at: new Date(device.created_at_ms).toISOString(),
    unbound_certificates: countUnbound(certificates, nowMs),
    certificates: certificates.map((row) => ({
      fingerprint_sha256:
        row.certificate_sha256 === null ? '' : encodeBase64url(row.certificate_sha256),
      serial_number: hex(row.serial_number),
      status: row.status,
      not_before: new Date(row.not_before_ms).toISOString(),
      not_after: new Date(row.not_after_ms).toISOString(),
      enrollment_strength: row.enrollment_strength,
      ...(row.bound_user === null ? {} : { bound_user: row.bound_user }),
      ...(row.bindingEnded ? { binding_ended: true as const } : {}),
    })),
  };
}
