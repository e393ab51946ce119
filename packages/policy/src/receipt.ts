import { compactJws, numericDate, sha256Text } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';
import { globalPolicySources, policySources } from './administration.ts';
import { effectivePolicyDocument } from './policy-document.ts';
import { networkZone } from './zones.ts';

/**
 * A receipt of a decision: the row as it is recorded, with all that it rests on, signed by the broker. It is verified
 * without the broker, by the organization's root alone.
 */

export const decisionReceiptTyp = 'decision-receipt+jwt';

/** A policy of a thousand rules with names in each, in base64url, with room for the networks that it names. */
export const maxReceiptBytes = 4 * 1024 * 1024;

/** Claims of a receipt, a JWS by the broker (ES256, one of the `audit_keys` of the key set beside it). */
export const decisionReceiptClaims = z.strictObject({
  /** The broker's URL. */
  iss: z.url(),
  /** The organization's id. */
  org: z.string(),
  iat: numericDate,
  /** `<chain>.<sequence>`. */
  decision_id: z.string(),
  /** The row, and its place: `hash` is the SHA-256 over `previous_hash` and the record's text. */
  row: z.strictObject({
    /** A shard's number, or `<export id>.<shard>` of a chain that an import archived. */
    chain: z.string(),
    sequence: z.int().check(z.minimum(1)),
    /** Canonical JSON (RFC 8785), exactly as recorded. */
    record: z.string(),
    previous_hash: sha256Text,
    hash: sha256Text,
  }),
  /** The version that decided; absent where no policy was asked. */
  policy: z.optional(
    z.strictObject({
      /** SHA-256 of the document's canonical JSON (RFC 8785). */
      sha256: sha256Text,
      /** An application's own with what it leaves to the global one. */
      document: effectivePolicyDocument,
      /** Of the newer of the two, as are the following. */
      source: z.enum([...policySources, ...globalPolicySources]),
      author: z.string(),
      comment: z.string(),
      created_at: z.string(),
      /** The networks that it depends on, as they were then. */
      zones: z.array(networkZone),
    }),
  ),
  /** What the rule that decided asked for, and what it saw; absent where the default did, or no policy. */
  criteria: z.optional(
    z.array(
      z.strictObject({
        criterion: z.string(),
        verdict: z.enum(['met', 'not_met', 'unknown']),
        wanted: z.string(),
        seen: z.string(),
      }),
    ),
  ),
});
export type DecisionReceiptClaims = z.infer<typeof decisionReceiptClaims>;

/** `GET /v1/admin/decisions/{id}/receipt`, and the file that is kept of it. */
export const decisionReceipt = z.object({
  receipt: compactJws(maxReceiptBytes),
  /** The key set that was served when the receipt was signed: it leads from the receipt's key to the root. */
  key_set: compactJws(32 * 1024),
});
export type DecisionReceipt = z.infer<typeof decisionReceipt>;
