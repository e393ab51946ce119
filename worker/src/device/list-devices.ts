import { type DescribedCertificate, describeCertificates } from './certificate-records.ts';
import { type DeviceRow, deviceRow } from './device-records.ts';

export type DescribedDevice = {
  readonly device: DeviceRow;
  readonly certificates: readonly DescribedCertificate[];
};

/** A page of a shard's devices by device id, each with its certificates. */
export function listDevices(sql: SqlStorage, after: string, limit: number): DescribedDevice[] {
  return sql
    .exec(
      `SELECT ${Object.keys(deviceRow.shape).join(', ')} FROM devices
       WHERE device_id > ? ORDER BY device_id LIMIT ?`,
      after,
      limit,
    )
    .toArray()
    .map((row) => deviceRow.parse(row))
    .map((device) => ({ device, certificates: describeCertificates(sql, device.device_id) }));
}

/** How many certificates are alike in these; `count` of them have not expired or been replaced for good. */
export type CertificateCount = {
  readonly issuer_id: string;
  readonly integration_id: string;
  readonly profile: string;
  readonly enrollment_strength: string;
  readonly status: string;
  readonly count: number;
};

const countsByDates = 'not_after_ms >= ?1 AND (usable_until_ms IS NULL OR usable_until_ms >= ?1)';

/** What the shard has that still counts by its dates: the progress of a rollover, and what would break. */
export function countCertificates(sql: SqlStorage, nowMs: number): CertificateCount[] {
  return sql
    .exec<CertificateCount>(
      `SELECT issuer_id, integration_id, profile, enrollment_strength, status, COUNT(*) AS count
       FROM certificates
       WHERE ${countsByDates}
       GROUP BY issuer_id, integration_id, profile, enrollment_strength, status`,
      nowMs,
    )
    .toArray();
}

/** Who signs in with certificates of an integration, or of any: each user once. */
export function boundUsers(
  sql: SqlStorage,
  integrationId: string | undefined,
  nowMs: number,
): string[] {
  return sql
    .exec<{ user: string }>(
      `SELECT DISTINCT bound_user AS user FROM certificates
       WHERE status = 'bound' AND ${countsByDates} AND (?2 IS NULL OR integration_id = ?2)`,
      nowMs,
      integrationId ?? null,
    )
    .toArray()
    .map(({ user }) => user);
}
