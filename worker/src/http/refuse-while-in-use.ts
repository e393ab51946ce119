import type { IntegrationImpact } from '@countersign/protocol/admin-integrations';
import { isInUse } from '../admin/integration-impact.ts';
import { currentSnapshot } from './answer-change.ts';
import type { Broker } from './broker.ts';
import { findImpact } from './find-impact.ts';
import type { Problem } from './problem.ts';

/** Whoever would be locked out by a change of an integration is named before it happens. */

export function inUse(
  impact: IntegrationImpact,
  code: 'integration_in_use' | 'device_trust_in_use' = 'integration_in_use',
): Problem {
  const applications = impact.applications.map(({ application_id }) => application_id).join(', ');
  return {
    code,
    detail: `${impact.live_certificates} certificates are good, ${impact.bound_certificates} of them in use by ${impact.affected_users} users; these applications rely on trusted devices: ${applications}. ${impact.steps.join(' ')}`,
    impact,
  };
}

/** @returns why the integration's certificates cannot be made to count for less without an override */
export async function refuseWhileInUse(broker: Broker, id: string): Promise<Problem | undefined> {
  const snapshot = await currentSnapshot(broker);
  if (snapshot === undefined) return { code: 'snapshot_unavailable' };
  const integration = snapshot.integrations.get(id);
  // One that is deleted already is asked about again; a disabled one counts for nobody.
  if (integration === undefined || integration.state.mode === 'disabled') return undefined;
  const found = await findImpact(broker, snapshot, id);
  if (!found.ok) return { code: found.code };
  return isInUse(found.impact) ? inUse(found.impact) : undefined;
}
