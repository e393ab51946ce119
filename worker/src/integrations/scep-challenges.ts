import { type DeviceIdentity, normalizeIdentity } from './managed-device.ts';

/**
 * Challenges for SCEP that a device management asked for, by their hash: each for one device, where the management
 * named one. `scep/scep-records.ts` spends them, each by one key.
 */

export const scepChallengeTtlMs = 3_600_000;
/** More than a management pushes profiles in an hour. */
const mostOutstanding = 50_000;

/** @returns whether there was room for it */
export function addScepChallenge(
  sql: SqlStorage,
  challengeSha256: Uint8Array,
  device: DeviceIdentity,
  nowMs: number,
): boolean {
  sql.exec('DELETE FROM scep_challenges WHERE expires_at_ms <= ?', nowMs - scepChallengeTtlMs);
  const { count } = sql
    .exec<{ count: number }>('SELECT count(*) AS count FROM scep_challenges')
    .one();
  if (count >= mostOutstanding) return false;
  const { serialNumber = '', hardwareUuid = '' } = normalizeIdentity(device);
  sql.exec(
    `INSERT INTO scep_challenges (challenge_sha256, expires_at_ms, serial_number, hardware_uuid)
     VALUES (?, ?, ?, ?)`,
    challengeSha256,
    nowMs + scepChallengeTtlMs,
    serialNumber,
    hardwareUuid,
  );
  return true;
}
