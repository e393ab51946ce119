import { parseFields } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';

/**
 * What the browser, not the page, says about the document that sent a message. `url` and `tab.url` are left out on
 * purpose: in a sandboxed frame the first still looks like the sign-in page, in any frame the second is the top page's.
 */
const senderFactsSchema = z.object({
  /** Serialized origin with port; `"null"` for opaque origins. */
  origin: z.optional(z.string()),
  frameId: z.optional(z.number()),
  /** `active`, `prerender`, `cached` or `pending_deletion`; absent in Firefox. */
  documentLifecycle: z.optional(z.string()),
});
export type SenderFacts = z.infer<typeof senderFactsSchema>;

/** Facts of the wrong type count as absent, and absent facts are refused. */
export function senderFactsOf(sender: unknown): SenderFacts {
  const parsed = parseFields(senderFactsSchema, sender);
  return parsed.ok ? parsed.value : {};
}
