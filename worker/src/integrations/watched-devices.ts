import {
  type DeviceIdentity,
  isSameDevice,
  type ManagedDevice,
  normalizeIdentity,
} from './managed-device.ts';

/**
 * The devices that an integration has issued certificates to, and what its management has said of each since. A device
 * that the management says is not managed is "missed"; missed twice, some time apart, its management has ended.
 */

export type WatchedDevice = {
  readonly device_id: string;
  /** In the spelling that devices are compared in; empty when not known. */
  readonly serial_number: string;
  readonly hardware_uuid: string;
  /** As the management spells them, which is how it is asked. */
  readonly asked_serial_number: string;
  readonly asked_hardware_uuid: string;
  /** The last round of polling that has met the device. */
  readonly round: number;
  readonly missed: number;
  readonly missed_at_ms: number;
  /** When the device is to be looked up by itself. */
  readonly look_up_at_ms: number | null;
  /** What the device's shard was told last of how the device is kept, and of which moment that was. */
  readonly told_posture: string;
  readonly told_reported_at_ms: number;
};

const columns =
  'device_id, serial_number, hardware_uuid, asked_serial_number, asked_hardware_uuid, round, missed, missed_at_ms, look_up_at_ms, told_posture, told_reported_at_ms';

/** In `told_posture`: the shard got something else meanwhile, with a certificate. */
const notTold = '?';

/** Watches a device from now on. What is known of it already is kept, but for how often it was missed. */
export function watchDevice(
  sql: SqlStorage,
  deviceId: string,
  identity: DeviceIdentity,
  asked: DeviceIdentity,
  round: number,
): void {
  const { serialNumber = '', hardwareUuid = '' } = normalizeIdentity(identity);
  sql.exec(
    `INSERT INTO watched_devices (device_id, serial_number, hardware_uuid, asked_serial_number,
       asked_hardware_uuid, round, told_posture)
     VALUES (?, ?, ?, ?, ?, ?, '${notTold}')
     ON CONFLICT (device_id) DO UPDATE SET
       serial_number = excluded.serial_number, hardware_uuid = excluded.hardware_uuid,
       asked_serial_number = excluded.asked_serial_number,
       asked_hardware_uuid = excluded.asked_hardware_uuid,
       round = max(round, excluded.round), missed = 0, missed_at_ms = 0, look_up_at_ms = NULL,
       told_posture = excluded.told_posture`,
    deviceId,
    serialNumber,
    hardwareUuid,
    asked.serialNumber ?? '',
    asked.hardwareUuid ?? '',
    round,
  );
}

export function forgetDevice(sql: SqlStorage, deviceId: string): void {
  sql.exec('DELETE FROM watched_devices WHERE device_id = ?', deviceId);
}

export function identityOf({ serial_number, hardware_uuid }: WatchedDevice): DeviceIdentity {
  return {
    ...(serial_number === '' ? {} : { serialNumber: serial_number }),
    ...(hardware_uuid === '' ? {} : { hardwareUuid: hardware_uuid }),
  };
}

export function askedIdentityOf(device: WatchedDevice): DeviceIdentity {
  const { asked_serial_number, asked_hardware_uuid } = device;
  const identity = identityOf(device);
  return {
    ...identity,
    ...(asked_serial_number === '' ? {} : { serialNumber: asked_serial_number }),
    ...(asked_hardware_uuid === '' ? {} : { hardwareUuid: asked_hardware_uuid }),
  };
}

/** The watched devices that an identity, in any spelling, may mean. */
export function findWatched(sql: SqlStorage, identity: DeviceIdentity): WatchedDevice[] {
  const { serialNumber = '', hardwareUuid = '' } = normalizeIdentity(identity);
  return sql
    .exec<WatchedDevice>(
      `SELECT ${columns} FROM watched_devices WHERE ?1 <> '' AND serial_number = ?1
       UNION SELECT ${columns} FROM watched_devices WHERE ?2 <> '' AND hardware_uuid = ?2`,
      serialNumber,
      hardwareUuid,
    )
    .toArray()
    .filter((watched) => isSameDevice(identityOf(watched), identity));
}

/** The management has these devices: whatever was missed before is forgotten. */
export function markMet(sql: SqlStorage, record: ManagedDevice, round: number): WatchedDevice[] {
  const watched = findWatched(sql, record);
  for (const { device_id } of watched) {
    sql.exec(
      `UPDATE watched_devices SET round = ?, missed = 0, missed_at_ms = 0, look_up_at_ms = NULL,
         asked_serial_number = ?, asked_hardware_uuid = ? WHERE device_id = ?`,
      round,
      record.serialNumber ?? '',
      record.hardwareUuid ?? '',
      device_id,
    );
  }
  return watched;
}

export function markMissed(
  sql: SqlStorage,
  deviceId: string,
  nowMs: number,
  againAtMs: number,
): void {
  sql.exec(
    `UPDATE watched_devices SET missed = missed + 1, missed_at_ms = ?, look_up_at_ms = ?
     WHERE device_id = ?`,
    nowMs,
    againAtMs,
    deviceId,
  );
}

export function findMissed(
  sql: SqlStorage,
  deviceId: string,
): Pick<WatchedDevice, 'missed' | 'missed_at_ms'> | undefined {
  return sql
    .exec<Pick<WatchedDevice, 'missed' | 'missed_at_ms'>>(
      'SELECT missed, missed_at_ms FROM watched_devices WHERE device_id = ?',
      deviceId,
    )
    .toArray()[0];
}

export function lookUpBy(sql: SqlStorage, deviceId: string, atMs: number): void {
  sql.exec(
    `UPDATE watched_devices SET look_up_at_ms = min(coalesce(look_up_at_ms, ?1), ?1)
     WHERE device_id = ?2`,
    atMs,
    deviceId,
  );
}

/** Those that a finished round has not met are to be looked up one by one, spread over some time. */
export function lookUpUnmet(sql: SqlStorage, round: number, nowMs: number, spreadMs: number): void {
  sql.exec(
    `UPDATE watched_devices SET look_up_at_ms = ? + abs(random() % ?)
     WHERE round < ? AND look_up_at_ms IS NULL`,
    nowMs,
    spreadMs,
    round,
  );
}

export function dueLookUps(sql: SqlStorage, nowMs: number, limit: number): WatchedDevice[] {
  return sql
    .exec<WatchedDevice>(
      `SELECT ${columns} FROM watched_devices WHERE look_up_at_ms <= ?
       ORDER BY look_up_at_ms LIMIT ?`,
      nowMs,
      limit,
    )
    .toArray();
}

export function nextLookUpMs(sql: SqlStorage): number | undefined {
  const { at } = sql
    .exec<{ at: number | null }>('SELECT min(look_up_at_ms) AS at FROM watched_devices')
    .one();
  return at ?? undefined;
}

export function countWatched(sql: SqlStorage): { readonly all: number; readonly missed: number } {
  return sql
    .exec<{ all: number; missed: number }>(
      'SELECT count(*) AS "all", count(*) FILTER (WHERE missed > 0) AS missed FROM watched_devices',
    )
    .one();
}
