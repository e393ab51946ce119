import * as z from 'zod/mini';
import { postureReport, postureSwitches } from './posture.ts';
import { factor } from './schemas.ts';

/**
 * A decision as it is recorded: spent challenge, audit record and answer to a retry in one. The `record` column holds
 * its canonical JSON (RFC 8785), which the hash chain covers; the other columns only repeat what look-ups need.
 * Members are never renamed or removed, because recorded hashes depend on them; new ones may be added.
 */
export const decisionRecord = z.object({
  v: z.literal(1),
  shard: z.int(),
  sequence: z.int(),
  recorded_at_ms: z.int(),
  /** Challenge id, or a fresh random id when no challenge opened or it was spent already. */
  id: z.string(),
  /** True when the challenge opened for this client and transaction and was unspent. */
  opened: z.boolean(),
  /** 0, or 1 where a pending decision was completed. */
  stage: z.union([z.literal(0), z.literal(1)]),
  client_id: z.string(),
  subject_type: z.string(),
  subject: z.string(),
  resource_type: z.string(),
  application: z.string(),
  action: z.string(),
  subject_authenticated: z.boolean(),
  transaction_hash: z.string(),
  request_hash: z.string(),
  organization_version: z.int(),
  policy_version: z.int(),
  decision: z.boolean(),
  reason: z.string(),
  rule: z.string(),
  device_trusted: z.boolean(),
  /** Why the device is not trusted, where `reason` says something else (an allow, a structural denial). */
  untrusted_reason: z.optional(z.string()),
  /** `<challenge id>` of the row that a refusal on a spent challenge refers to. */
  spent_id: z.optional(z.string()),
  device_id: z.string(),
  /** Which kinds of evidence named a device; absent where none did. */
  channel: z.optional(z.enum(['extension', 'mtls', 'both'])),
  /** What an administrator should look at, whatever was decided. */
  alarm: z.optional(z.enum(['lineage_mismatch'])),
  /** Why the client says that the extension gave no response, beside mTLS evidence. */
  reported_unavailable: z.optional(z.string()),
  certificate_sha256: z.optional(z.string()),
  certificate_number: z.optional(z.int()),
  /** The certificate of the TLS connection, where both kinds of evidence were given. */
  mtls_certificate_sha256: z.optional(z.string()),
  /** The user epoch under which the certificate is bound, when this decision rested on a binding. */
  epoch: z.optional(z.int()),
  bound_now: z.boolean(),
  response: z.optional(
    z.object({
      origin: z.string(),
      device_time_seconds: z.int(),
      host_version: z.string(),
      key_protection: z.string(),
      development: z.boolean(),
      posture: z.object({
        platform: z.string(),
        os_version: z.string(),
        ...postureSwitches,
        measured_at: z.optional(z.int()),
      }),
    }),
  ),
  /** What else the policy was asked about, so that a decision can be repeated; left out where nobody said. */
  facts: z.optional(
    z.object({
      groups: z.optional(z.array(z.string())),
      ip_address: z.optional(z.string()),
      client_type: z.optional(z.string()),
      /** As the sign-in server said; a device's own word is in `response`. */
      platform: z.optional(z.string()),
      enrollment_strength: z.optional(z.string()),
      certificate_age_seconds: z.optional(z.int()),
      /** What the device's management had reported of it, where that counted. */
      posture_report: z.optional(postureReport),
    }),
  ),
  /** What a pending decision waits for. It is neither an allow nor a final denial, and has no token. */
  pending: z.optional(
    z.object({
      factor: z.optional(factor),
      subject_authenticated: z.boolean(),
      evidence_hash: z.string(),
      expires_at_ms: z.int(),
    }),
  ),
  /** Of a completion: what the sign-in server asserted. */
  asserted: z.optional(z.object({ acr: z.optional(z.string()), amr: z.array(z.string()) })),
  /** Of an allow, or of one that waits for a factor: when the sign-in server is to ask the person anew. */
  reauthenticate_after_seconds: z.optional(z.int()),
  token: z.optional(z.object({ jti: z.string(), iat: z.int(), exp: z.int() })),
});
export type DecisionRecord = z.infer<typeof decisionRecord>;
