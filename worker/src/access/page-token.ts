import { createHash } from 'node:crypto';
import { maxSearchPage } from '@countersign/protocol/authzen';
import { parseFields } from '@countersign/protocol/schemas';
import canonicalize from 'canonicalize';
import * as z from 'zod/mini';
import { openSecret, sealSecret } from '../storage/sealed-secret.ts';

/**
 * Tokens of the pages of a search: sealed, so that nobody learns from one who comes before a page, and bound to the
 * client and to all that it asked, so that one opens in no other search.
 */

/** Where a page goes on: after this candidate of this list. */
export type Cursor = { readonly list: number; readonly after: string };

const sealedPage = z.strictObject({
  list: z.int().check(z.minimum(0)),
  after: z.string(),
  limit: z.int().check(z.minimum(0), z.maximum(maxSearchPage)),
});
export type SealedPage = z.infer<typeof sealedPage>;

/** @param question the request without its page */
export function searchContext(kind: string, clientId: string, question: unknown): string {
  const asked = canonicalize([kind, clientId, question]) ?? '';
  return `search-page/${createHash('sha256').update(asked, 'utf8').digest('base64url')}`;
}

export const sealPage = (key: CryptoKey, context: string, page: SealedPage): Promise<string> =>
  sealSecret(key, context, JSON.stringify(page));

/** @returns `undefined` for what was not given for this very search */
export async function openPage(
  key: CryptoKey,
  context: string,
  token: string,
): Promise<SealedPage | undefined> {
  const opened = await openSecret(key, context, token);
  if (opened === undefined) return undefined;
  const parsed = parseFields(sealedPage, JSON.parse(opened));
  return parsed.ok ? parsed.value : undefined;
}
