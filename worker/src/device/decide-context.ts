import type { ShardBlock } from './device-shard.ts';
import type { RefusalLimit } from './refusal-limit.ts';

/** What a decision needs of its object. */
export type DecideContext = ShardBlock & {
  readonly shard: number;
  readonly refusals: RefusalLimit;
};
