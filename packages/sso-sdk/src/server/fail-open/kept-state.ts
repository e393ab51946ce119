import { failOpenReport } from '@countersign/protocol/fail-open';
import { compactJws, p256PublicJwk } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';

/**
 * What is kept across restarts: statements with the key that each was verified with, since the broker's keys cannot be
 * asked for when it is needed, and what has not been reported.
 */
export const keptState = z.object({
  version: z.literal(1),
  statements: z.record(z.string(), z.object({ statement: compactJws(4096), key: p256PublicJwk })),
  reports: z.array(failOpenReport),
});
export type KeptState = z.infer<typeof keptState>;

export const noState: KeptState = { version: 1, statements: {}, reports: [] };

/** `undefined` for what is none. */
export function parseState(text: string): KeptState | undefined {
  try {
    const read = keptState.safeParse(JSON.parse(text));
    return read.success ? read.data : undefined;
  } catch {
    return undefined;
  }
}
