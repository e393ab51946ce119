import type { HardwareId } from '@countersign/protocol/enrollment';
import { deviceIdOf, normalizeHardwareId } from '../device/hardware-id.ts';
import { shardOfId } from '../device/placement.ts';
import type { EnrollmentRefusal, IdentifiedDevice } from './enrollment-context.ts';

/** The device that a hardware id names, in whatever spelling. */
export async function identifyDevice(
  hardwareId: HardwareId,
  place: { readonly deviceIdKey: CryptoKey; readonly shardCount: number },
): Promise<({ readonly ok: true } & IdentifiedDevice) | EnrollmentRefusal> {
  const hardware = normalizeHardwareId(hardwareId);
  if (!hardware.ok) return hardware;
  const { identity, serialNumber, hardwareUuid } = hardware.value;
  const deviceId = await deviceIdOf(identity, place.deviceIdKey);
  const shard = shardOfId(deviceId, place.shardCount) ?? 0;
  return { ok: true, deviceId, shard, serialNumber, hardwareUuid };
}
