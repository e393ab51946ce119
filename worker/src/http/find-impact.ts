import type { IntegrationImpact } from '@countersign/protocol/admin-integrations';
import { deviceTrustImpact, integrationImpact } from '../admin/integration-impact.ts';
import type { OrganizationSnapshot } from '../directory/organization-snapshot.ts';
import type { StorageUnavailable } from '../storage/durable-store.ts';
import { askShards } from './ask-shards.ts';
import type { Broker } from './broker.ts';
import { countCertificates } from './count-certificates.ts';

/**
 * What relies on an integration's certificates, and who.
 *
 * @param integrationId `undefined`: on trusted devices at all
 */
export async function findImpact(
  broker: Broker,
  snapshot: OrganizationSnapshot,
  integrationId?: string,
): Promise<{ readonly ok: true; readonly impact: IntegrationImpact } | StorageUnavailable> {
  const counted = await countCertificates(broker);
  if (!counted.ok) return counted;
  // A person's devices are in any shards.
  const bound = await askShards(broker, (shard) => shard.boundUsers(integrationId));
  if (!bound.ok) return bound;
  const facts = { counts: counted.items, users: new Set(bound.items).size };
  const applications = snapshot.applications.values();
  return {
    ok: true,
    impact:
      integrationId === undefined
        ? deviceTrustImpact(applications, facts)
        : integrationImpact(integrationId, applications, facts),
  };
}
