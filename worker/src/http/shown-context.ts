import type { ShownContext } from '../access/shown-sign-in.ts';
import { askObject, type Broker, deviceShard } from './broker.ts';

/** Where sign-ins are looked up that somebody shows by their decision tokens. */
export function shownContext(broker: Broker): ShownContext {
  return {
    shardCount: broker.shardCount,
    issuers: broker.issuers,
    findShown: (shard, row, facts) =>
      askObject(() => deviceShard(broker, shard).findShownSignIn(row, facts)),
  };
}
