import { narrowingCompletesAfterMs } from '@countersign/protocol/limits';
import { currentTimeMs } from '../clock.ts';
import type { OrganizationSnapshot } from '../directory/organization-snapshot.ts';
import type { Broker } from './broker.ts';
import type { AdminContext } from './for-admin.ts';
import { logEvent } from './route-context.ts';

/** This isolate shows the change at once; the others within the snapshot's age. */
export async function showChange(
  broker: Broker,
  context: AdminContext,
  id: string,
  { version, changed }: { readonly version: number; readonly changed: boolean },
): Promise<void> {
  if (changed) await broker.snapshots.refresh(currentTimeMs());
  logEvent('organization_changed', {
    request_id: context.requestId,
    admin_id: context.admin.adminId,
    id,
    changed,
    version,
  });
}

/** From then on no decision follows the organization as it was before. */
export const completeAt = () => new Date(currentTimeMs() + narrowingCompletesAfterMs).toISOString();

/** The organization as it is now: what administrators look at is no older than their request. */
export async function currentSnapshot(broker: Broker): Promise<OrganizationSnapshot | undefined> {
  const read = await broker.snapshots.refresh(currentTimeMs());
  return read.ok ? read.snapshot : undefined;
}
