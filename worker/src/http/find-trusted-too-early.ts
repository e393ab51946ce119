import { earlyTrustFinding, type PolicyDocument, type PolicyFinding } from '@countersign/policy';
import { currentTimeMs } from '../clock.ts';
import { lossWithoutTrust } from '../policy/relies-on-trust.ts';
import type { StorageUnavailable } from '../storage/durable-store.ts';
import { askShards } from './ask-shards.ts';
import type { Broker } from './broker.ts';

const daysLookedAt = 7;

/**
 * Who asks for trusted devices before people have them locks people out. Looks at who has signed in lately, and who of
 * them from a device that was trusted.
 *
 * @param policies by application, as they are to be
 */
export async function findTrustedTooEarly(
  broker: Broker,
  policies: ReadonlyMap<string, PolicyDocument>,
): Promise<{ readonly ok: true; readonly findings: PolicyFinding[] } | StorageUnavailable> {
  const relying = [...policies].flatMap(([application, policy]) =>
    lossWithoutTrust(policy) === undefined ? [] : [application],
  );
  if (relying.length === 0) return { ok: true, findings: [] };
  const sinceMs = currentTimeMs() - daysLookedAt * 86_400_000;
  const asked = await askShards(broker, (shard) => shard.recentPeople(relying, sinceMs));
  if (!asked.ok) return asked;
  const people = new Map<string, boolean>();
  for (const { user, trusted } of asked.items) {
    people.set(user, trusted || people.get(user) === true);
  }
  const trusted = [...people.values()].filter(Boolean).length;
  const finding = earlyTrustFinding({ people: people.size, trusted, days: daysLookedAt });
  return { ok: true, findings: finding === undefined ? [] : [finding] };
}
