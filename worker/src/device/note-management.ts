import { findDevice } from './device-records.ts';
import { type ManagementFacts, readManagement } from './management-facts.ts';

export type ManagementNote = { readonly deviceId: string; readonly facts: ManagementFacts };

/**
 * Notes what a device's MDM has said since. The MDM is the one that the last certificate was issued through: what another
 * one says of the same device is not taken, nor what was said before what is on record.
 */
export function noteManagement(
  sql: SqlStorage,
  { deviceId, facts }: ManagementNote,
  nowMs: number,
): void {
  const device = findDevice(sql, deviceId);
  if (device === undefined) return;
  const known = readManagement(device.management);
  if (known !== undefined && known.integration_id !== facts.integration_id) return;
  const knownSinceMs = known?.checked_at_ms ?? 0;
  // What is of a time to come is from before a clock was set back, not from after what is told now.
  if (knownSinceMs > facts.checked_at_ms && knownSinceMs <= nowMs) return;
  // A poll does not tell what the MDM calls the hardware.
  const { udid } = known ?? {};
  sql.exec(
    'UPDATE devices SET management = ? WHERE device_id = ?',
    JSON.stringify({ ...(udid === undefined ? {} : { udid }), ...facts }),
    deviceId,
  );
}
