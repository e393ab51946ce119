import type { PostureReport } from '@countersign/protocol/posture';
import type { ManagedDevice } from './managed-device.ts';
import { contentOf, postureReportOf } from './posture-report.ts';
import type { WatchedDevice } from './watched-devices.ts';

/** What a device's shard is to be told of its management's word. */
export type UntoldReport = {
  readonly deviceId: string;
  readonly mdmId: string;
  readonly checkedAtMs: number;
  /** `undefined`: the management says nothing any more. */
  readonly posture: PostureReport | undefined;
};

type ToldBefore = Pick<WatchedDevice, 'device_id' | 'told_posture' | 'told_reported_at_ms'>;

/** A device that was enrolled anew at its management may have two records there: what is older than what was told is none. */
const isOlder = (
  record: ManagedDevice,
  posture: PostureReport | undefined,
  { told_reported_at_ms }: ToldBefore,
) => (posture?.reported_at_ms ?? record.lastCheckInMs ?? 0) < told_reported_at_ms;

/**
 * What a record says that the device's shard does not know. The same word again is told only before the older one stops
 * counting, so that a round in which nothing has changed writes nothing.
 *
 * @param againAfterMs how much younger the same word must be
 */
export function untoldReport(
  before: ToldBefore,
  record: ManagedDevice,
  nowMs: number,
  againAfterMs: number,
): UntoldReport | undefined {
  const { device_id, told_posture, told_reported_at_ms } = before;
  const posture = postureReportOf(record, nowMs);
  if (isOlder(record, posture, before)) return undefined;
  const isYounger = (posture?.reported_at_ms ?? 0) - told_reported_at_ms >= againAfterMs;
  if (contentOf(posture) === told_posture && (posture === undefined || !isYounger)) {
    return undefined;
  }
  return { deviceId: device_id, mdmId: record.mdmId, checkedAtMs: nowMs, posture };
}

/** The shard has it on disk. */
export function markTold(sql: SqlStorage, { deviceId, posture }: UntoldReport): void {
  sql.exec(
    'UPDATE watched_devices SET told_posture = ?, told_reported_at_ms = ? WHERE device_id = ?',
    contentOf(posture),
    posture?.reported_at_ms ?? 0,
    deviceId,
  );
}

/** Of several reports of one device the latest. */
export function latestOfEach(reports: readonly UntoldReport[]): UntoldReport[] {
  const latest = new Map<string, UntoldReport>();
  for (const report of reports) {
    const known = latest.get(report.deviceId)?.posture?.reported_at_ms ?? -1;
    if ((report.posture?.reported_at_ms ?? 0) > known) latest.set(report.deviceId, report);
  }
  return [...latest.values()];
}
