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

/** Shows the change, and answers what it came to and from when it holds everywhere. */
export async function answerChange(
  broker: Broker,
  context: AdminContext,
  id: string,
  change: { readonly version: number; readonly changed: boolean },
  more: Readonly<Record<string, unknown>> = {},
): Promise<Response> {
  await showChange(broker, context, id, change);
  return Response.json({
    id,
    organization_version: change.version,
    changed: change.changed,
    complete_at: completeAt(),
    ...more,
  });
}

/** The organization as it is now: what administrators look at is no older than their request. */
export async function currentSnapshot(broker: Broker): Promise<OrganizationSnapshot | undefined> {
  const read = await broker.snapshots.refresh(currentTimeMs());
  return read.ok ? read.snapshot : undefined;
}
