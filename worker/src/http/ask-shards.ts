import type { StorageUnavailable } from '../storage/durable-store.ts';
import { askObject, type Broker, deviceShard } from './broker.ts';

const shardsAtOnce = 64;

/** Asks every shard of devices, and gives all that they have. One that does not answer is no answer. */
export async function askShards<Item>(
  broker: Broker,
  ask: (
    shard: ReturnType<typeof deviceShard>,
  ) => Promise<{ readonly ok: true; readonly items: readonly Item[] } | StorageUnavailable>,
): Promise<{ readonly ok: true; readonly items: Item[] } | StorageUnavailable> {
  const items: Item[] = [];
  for (let from = 0; from < broker.shardCount; from += shardsAtOnce) {
    const shards = Array.from(
      { length: Math.min(shardsAtOnce, broker.shardCount - from) },
      (_, index) => from + index,
    );
    const answers = await Promise.all(
      shards.map((shard) => askObject(() => ask(deviceShard(broker, shard)))),
    );
    for (const answer of answers) {
      if (!answer.ok) return answer;
      for (const item of answer.items) items.push(item);
    }
  }
  return { ok: true, items };
}
