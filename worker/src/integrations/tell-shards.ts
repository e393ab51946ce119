import type { DeviceObject } from '../device/device-object.ts';
import { shardOfId } from '../device/placement.ts';
import type { UntoldReport } from './untold-reports.ts';

/** What polling tells the shards of the devices that it asks about. */

export type Shards = {
  readonly shardCount: number;
  readonly device: (
    shard: number,
  ) => Pick<DurableObjectStub<DeviceObject>, 'managementEnded' | 'noteManagement'>;
  readonly log: (event: string, fields: Readonly<Record<string, unknown>>) => void;
};

const shardOf = ({ shardCount }: Shards, deviceId: string) => shardOfId(deviceId, shardCount) ?? 0;

/** True when it is on disk there. */
export async function endManagement(
  shards: Shards,
  device_id: string,
  integration_id: string,
): Promise<boolean> {
  try {
    const device = shards.device(shardOf(shards, device_id));
    const ended = await device.managementEnded(device_id, integration_id);
    return ended.ok || ended.code === 'device_not_found';
  } catch (error) {
    const detail = String(error);
    shards.log('management_end_not_delivered', { integration_id, device_id, detail });
    return false;
  }
}

/** Tells each shard of all of its devices at once. Answers those reports that are on disk there. */
export async function reportPosture(
  shards: Shards,
  reports: readonly UntoldReport[],
  integration_id: string,
): Promise<UntoldReport[]> {
  const byShard = new Map<number, UntoldReport[]>();
  for (const report of reports) {
    const shard = shardOf(shards, report.deviceId);
    const ofShard = byShard.get(shard) ?? [];
    byShard.set(shard, ofShard);
    ofShard.push(report);
  }
  const told: UntoldReport[] = [];
  for (const [shard, ofShard] of byShard) {
    const notes = ofShard.map(({ deviceId, checkedAtMs, mdmId, posture }) => ({
      deviceId,
      facts: {
        integration_id,
        checked_at_ms: checkedAtMs,
        mdm_id: mdmId,
        ...(posture === undefined ? {} : { posture }),
      },
    }));
    try {
      const noted = await shards.device(shard).noteManagement(notes);
      if (noted.ok) told.push(...ofShard);
      else shards.log('posture_not_delivered', { integration_id, shard, detail: noted.code });
    } catch (error) {
      shards.log('posture_not_delivered', { integration_id, shard, detail: String(error) });
    }
  }
  return told;
}
