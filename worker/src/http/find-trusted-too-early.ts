import { earlyTrustFinding, type PolicyDocument, type PolicyFinding } from '@countersign/policy';
import { currentTimeMs } from '../clock.ts';
import type { RelyingApplication } from '../device/recent-people.ts';
import { lossWithoutTrust } from '../policy/relies-on-trust.ts';
import { askShards } from './ask-shards.ts';
import type { Broker } from './broker.ts';

const daysLookedAt = 7;

/** A look at the newest is enough to know how far a rollout has come: of all shards so many together, of each not too few. */
const mostRows = 20_000;
const fewestRowsPerShard = 50;

/**
 * Who asks for trusted devices before people have them locks people out. Looks at who has signed in lately, and who of
 * them from a device that would be trusted. It is advice: where a shard does not answer, there is none.
 *
 * @param policies by application, as they are to be
 */
export async function findTrustedTooEarly(
  broker: Broker,
  policies: ReadonlyMap<string, PolicyDocument>,
): Promise<PolicyFinding[]> {
  const relying = [...policies].flatMap(([application, policy]): RelyingApplication[] =>
    lossWithoutTrust(policy) === undefined
      ? []
      : [{ application, enrollmentStrengths: policy.enrollment_strengths }],
  );
  if (relying.length === 0) return [];
  const sinceMs = currentTimeMs() - daysLookedAt * 86_400_000;
  const rows = Math.max(fewestRowsPerShard, Math.floor(mostRows / broker.shardCount));
  const asked = await askShards(broker, (shard) => shard.recentPeople(relying, sinceMs, rows));
  if (!asked.ok) return [];
  const people = new Map<string, boolean>();
  for (const { user, trusted } of asked.items) {
    people.set(user, trusted || people.get(user) === true);
  }
  const trusted = [...people.values()].filter(Boolean).length;
  const finding = earlyTrustFinding({ people: people.size, trusted, days: daysLookedAt });
  return finding === undefined ? [] : [finding];
}
