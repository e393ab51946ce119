import type { Cursor } from './page-token.ts';

/** One that may be in the answer, in a list whose order does not change. */
export type Candidate = Cursor & {
  /** It was in a list before: looked at, and not told again. */
  readonly isRepeated?: true;
};

export type FoundPage = {
  readonly found: readonly string[];
  /** `undefined`: there are no more. */
  readonly next: Cursor | undefined;
};

/** So many are looked at for one page, whatever they cost: a page may be short, or empty, although there is more. */
export const mostCandidates = 1000;

/**
 * A page of those who pass.
 *
 * @param start where it goes on; what is handed back when not even the first one fits
 * @param candidates those after it
 */
export async function findPage(
  candidates: AsyncIterable<Candidate>,
  passes: (candidate: string) => boolean,
  limit: number,
  start: Cursor,
): Promise<FoundPage> {
  const found: string[] = [];
  let last = start;
  let looked = 0;
  for await (const candidate of candidates) {
    if (looked === mostCandidates) return { found, next: last };
    looked += 1;
    if (candidate.isRepeated !== true && passes(candidate.after)) {
      // There is one more: the next page begins with it.
      if (found.length === limit) return { found, next: last };
      found.push(candidate.after);
    }
    last = { list: candidate.list, after: candidate.after };
  }
  return { found, next: undefined };
}
