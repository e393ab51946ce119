import { type InventoryRow, inventoryPosture } from './inventory-file.ts';
import type { DeviceIdentity, ManagedDevice } from './managed-device.ts';
import type { MdmClient } from './mdm-client.ts';
import type { MdmFailure } from './mdm-request.ts';

/** Replaces the inventory by another one. In one block: whoever asks sees the one or the other. */
export function replaceInventory(
  sql: SqlStorage,
  rows: readonly InventoryRow[],
  nowMs: number,
): void {
  sql.exec('DELETE FROM inventory');
  for (const { serialNumber, hardwareUuid, posture } of rows) {
    sql.exec(
      'INSERT INTO inventory (serial_number, hardware_uuid, posture, put_at_ms) VALUES (?, ?, ?, ?)',
      serialNumber,
      hardwareUuid,
      posture === undefined ? null : JSON.stringify(posture),
      nowMs,
    );
  }
}

export function countInventory(sql: SqlStorage): number {
  return sql.exec<{ count: number }>('SELECT count(*) AS count FROM inventory').one().count;
}

type StoredRow = {
  readonly serial_number: string;
  readonly hardware_uuid: string;
  readonly posture: string | null;
  readonly put_at_ms: number;
};
const storedColumns = 'serial_number, hardware_uuid, posture, put_at_ms';

/** A device in the file is managed, and heard of whenever anybody asks. What the file says of it was so when it was put. */
function deviceOf(row: StoredRow, nowMs: number): ManagedDevice {
  const { serial_number, hardware_uuid, posture: stored, put_at_ms } = row;
  const { platform, os_version, ...posture } = inventoryPosture.parse(JSON.parse(stored ?? '{}'));
  return {
    mdmId: serial_number || hardware_uuid,
    managed: true,
    lastCheckInMs: nowMs,
    ...(serial_number === '' ? {} : { serialNumber: serial_number }),
    ...(hardware_uuid === '' ? {} : { hardwareUuid: hardware_uuid }),
    ...(stored === null ? {} : { posture, postureAtMs: put_at_ms }),
    ...(platform === undefined ? {} : { platform }),
    ...(os_version === undefined ? {} : { osVersion: os_version }),
  };
}

const pageSize = 1000;

/** @param read reads from the integration's database */
export function inventoryClient(
  read: <Value>(block: (sql: SqlStorage) => Value) => Value | MdmFailure,
  now: () => number,
): MdmClient {
  return {
    /** @param identity in the spelling that devices are compared in */
    findDevices: async ({ serialNumber = '', hardwareUuid = '' }: DeviceIdentity) =>
      read((sql) => {
        const rows = sql
          .exec<StoredRow>(
            `SELECT ${storedColumns} FROM inventory WHERE ?1 <> '' AND serial_number = ?1
             UNION SELECT ${storedColumns} FROM inventory
             WHERE ?2 <> '' AND hardware_uuid <> '' AND hardware_uuid = ?2`,
            serialNumber,
            hardwareUuid,
          )
          .toArray();
        return { ok: true, value: rows.map((row) => deviceOf(row, now())) } as const;
      }),
    listDevices: async (page) =>
      read((sql) => {
        const offset = Number(page ?? 0);
        const rows = sql
          .exec<StoredRow>(
            `SELECT ${storedColumns} FROM inventory
             ORDER BY serial_number, hardware_uuid LIMIT ? OFFSET ?`,
            pageSize,
            offset,
          )
          .toArray();
        const devices = rows.map((row) => deviceOf(row, now()));
        const value =
          rows.length < pageSize ? { devices } : { devices, next: String(offset + pageSize) };
        return { ok: true, value } as const;
      }),
  };
}
