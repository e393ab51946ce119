import type { CountedCertificates } from '../admin/integration-impact.ts';
import type { StorageUnavailable } from '../storage/durable-store.ts';
import { askObject, type Broker, deviceShard } from './broker.ts';

const shardsAtOnce = 64;

/** Certificates of all shards that are alike, counted. One shard that does not answer is no answer. */
export async function countCertificates(
  broker: Broker,
): Promise<{ readonly ok: true; readonly counts: CountedCertificates[] } | StorageUnavailable> {
  const counts: CountedCertificates[] = [];
  for (let from = 0; from < broker.shardCount; from += shardsAtOnce) {
    const shards = Array.from(
      { length: Math.min(shardsAtOnce, broker.shardCount - from) },
      (_, index) => from + index,
    );
    const answers = await Promise.all(
      shards.map((shard) => askObject(() => deviceShard(broker, shard).countCertificates())),
    );
    for (const answer of answers) {
      if (!answer.ok) return answer;
      counts.push(...answer.counts);
    }
  }
  return { ok: true, counts };
}
