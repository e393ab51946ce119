import { contradict, type DeviceIdentity, normalizeIdentity } from './managed-device.ts';

/** Challenges for SCEP that a device management asked for: each spent once, by one key, and for one device where named. */

export const scepChallengeTtlMs = 3_600_000;
/** More than a management pushes profiles in an hour. */
const mostOutstanding = 50_000;

type ChallengeRow = {
  readonly expires_at_ms: number;
  readonly serial_number: string;
  readonly hardware_uuid: string;
  readonly spent_by_spki_sha256: ArrayBuffer | null;
};

/** @returns whether there was room for it */
export function addScepChallenge(
  sql: SqlStorage,
  challengeSha256: Uint8Array,
  device: DeviceIdentity,
  nowMs: number,
): boolean {
  // Spent ones stay a while, so that a client that repeats its request is answered alike.
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

export type SpendScepChallengeResult =
  /** `device` is the one that the management named with it; empty when it named none. */
  | { readonly ok: true; readonly device: DeviceIdentity }
  | {
      readonly ok: false;
      readonly code:
        | 'scep_challenge_invalid'
        | 'scep_challenge_expired'
        | 'scep_challenge_spent'
        | 'scep_challenge_wrong_device';
    };

/**
 * Spends a challenge: for this key from now on, so that a client that repeats its request is answered alike.
 *
 * @param device that the request names; empty when it names none, which the challenge then does
 */
export function spendScepChallenge(
  sql: SqlStorage,
  challengeSha256: Uint8Array,
  spkiSha256: Uint8Array,
  device: DeviceIdentity,
  nowMs: number,
): SpendScepChallengeResult {
  const [row] = sql
    .exec<ChallengeRow>(
      `SELECT expires_at_ms, serial_number, hardware_uuid, spent_by_spki_sha256
       FROM scep_challenges WHERE challenge_sha256 = ?`,
      challengeSha256,
    )
    .toArray();
  if (row === undefined) return { ok: false, code: 'scep_challenge_invalid' };
  const { serial_number, hardware_uuid, spent_by_spki_sha256: spentBy } = row;
  const named: DeviceIdentity = {
    ...(serial_number === '' ? {} : { serialNumber: serial_number }),
    ...(hardware_uuid === '' ? {} : { hardwareUuid: hardware_uuid }),
  };
  if (contradict(named, device)) return { ok: false, code: 'scep_challenge_wrong_device' };
  if (spentBy !== null) {
    const before = new Uint8Array(spentBy);
    const isSame =
      before.length === spkiSha256.length && before.every((byte, at) => byte === spkiSha256[at]);
    return isSame ? { ok: true, device: named } : { ok: false, code: 'scep_challenge_spent' };
  }
  if (row.expires_at_ms <= nowMs) return { ok: false, code: 'scep_challenge_expired' };
  sql.exec(
    'UPDATE scep_challenges SET spent_by_spki_sha256 = ? WHERE challenge_sha256 = ?',
    spkiSha256,
    challengeSha256,
  );
  return { ok: true, device: named };
}
