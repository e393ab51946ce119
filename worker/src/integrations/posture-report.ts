import type { ReportedPosture } from '@countersign/policy';
import type { IntegrationConnection } from '@countersign/protocol/admin-integrations';
import {
  type PostureReport,
  type PostureSwitch,
  postureSwitchNames,
} from '@countersign/protocol/posture';
import type { IntegrationRecord } from '../directory/integration-records.ts';
import type { ManagedDevice } from './managed-device.ts';

/** What managements of each kind tell of how a device is kept, beside the version of its system. */
const reportedSwitches: Readonly<Record<IntegrationConnection['kind'], readonly PostureSwitch[]>> =
  {
    jamf_pro: ['disk_encryption', 'firewall'],
    intune: ['disk_encryption'],
    jumpcloud: ['disk_encryption'],
    kandji: [],
    inventory_file: postureSwitchNames,
  };

/** What policies may ask these integrations about. Every management tells the system and its version. */
export function reportedPosture(
  integrations: Iterable<Pick<IntegrationRecord, 'connection' | 'state'>>,
): ReadonlySet<ReportedPosture> {
  const inUse = [...integrations].filter(({ state }) => state.mode !== 'disabled');
  return new Set(
    inUse.flatMap(({ connection }) => [
      ...reportedSwitches[connection.kind],
      'minimum_os_version' as const,
    ]),
  );
}

/** Managements put words behind a version: `14.5 (23F79)`, `13.4.1 (c)`. What does not begin with one is none. */
function versionIn(text: string | undefined): string | undefined {
  return /^\d{1,9}(?:\.\d{1,9}){0,9}(?=$|\s)/.exec(text?.trim() ?? '')?.[0];
}

/**
 * What a management's record says of how the device is kept. `undefined` where it says nothing but the platform, or not since when: what
 * is of no time can be of any.
 *
 * @param nowMs what claims to be later is of now
 */
export function postureReportOf(
  { posture, postureAtMs, platform, osVersion }: ManagedDevice,
  nowMs: number,
): PostureReport | undefined {
  const os_version = versionIn(osVersion);
  const known = {
    ...posture,
    ...(os_version === undefined ? {} : { os_version }),
  };
  if (postureAtMs === undefined || Object.keys(known).length === 0) return undefined;
  return {
    reported_at_ms: Math.min(postureAtMs, nowMs),
    ...known,
    ...(platform === undefined ? {} : { platform }),
  };
}

/** What a report says, without its time; empty where there is none. The same text says the same. */
export function contentOf(report: PostureReport | undefined): string {
  if (report === undefined) return '';
  return JSON.stringify(
    [...postureSwitchNames, 'platform' as const, 'os_version' as const].map(
      (name) => report[name] ?? null,
    ),
  );
}
