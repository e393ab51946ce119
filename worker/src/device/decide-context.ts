import type { ChainHead } from '../audit/hash-chain.ts';
import type { RefusalLimit } from './refusal-limit.ts';
import type { DecideResult } from './sign-in.ts';

/** What the block needs of its object. `randomId` gives 16 random bytes as base64url. */
export type DecideContext = {
  readonly sql: SqlStorage;
  readonly shard: number;
  readonly head: ChainHead;
  readonly nowMs: number;
  readonly randomId: () => string;
  readonly refusals: RefusalLimit;
};

/** The answer, and the chain's head after it. */
export type DecideBlock = { readonly result: DecideResult; readonly head: ChainHead };
