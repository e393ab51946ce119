import { postureReport, postureSwitches } from '@countersign/protocol/posture';
import { factor } from '@countersign/protocol/schemas';
import canonicalize from 'canonicalize';
import * as z from 'zod/mini';
import { readChainStart } from '../audit/chain-start.ts';
import { type ChainHead, emptyChain, extendChain } from '../audit/hash-chain.ts';

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

/** A chain that is being written; `head` moves on with each row. */
export type WrittenChain = { readonly sql: SqlStorage; head: ChainHead };

/** Appends a record to the shard's chain. Throws on a key that is already there: the caller has looked before. */
export function appendDecision(
  chain: WrittenChain,
  fields: Omit<DecisionRecord, 'v' | 'sequence'>,
): DecisionRecord {
  const record: DecisionRecord = { v: 1, sequence: chain.head.count + 1, ...fields };
  const text = canonicalize(record);
  if (text === undefined) throw new TypeError('a decision record is always serializable');
  const newHead = extendChain(chain.head, text);
  chain.sql.exec(
    `INSERT INTO decisions (sequence, challenge_id, device_id, stage, record, hash)
     VALUES (?, ?, ?, ?, ?, ?)`,
    record.sequence,
    record.id,
    record.device_id,
    record.stage,
    text,
    newHead.hash,
  );
  chain.head = newHead;
  return record;
}

/** The row that already spent this challenge for this device at this stage, if there is one. */
export function findDecision(
  sql: SqlStorage,
  challengeId: string,
  deviceId: string,
  stage: DecisionRecord['stage'],
): DecisionRecord | undefined {
  const [row] = sql
    .exec<{ record: string }>(
      'SELECT record FROM decisions WHERE challenge_id = ? AND device_id = ? AND stage = ?',
      challengeId,
      deviceId,
      stage,
    )
    .toArray();
  return row === undefined ? undefined : decisionRecord.parse(JSON.parse(row.record));
}

/** The newest row's sequence number and hash; of an empty chain, what it begins with. */
export function readChainHead(sql: SqlStorage): ChainHead {
  const [row] = sql
    .exec<{ sequence: number; hash: ArrayBuffer }>(
      'SELECT sequence, hash FROM decisions ORDER BY sequence DESC LIMIT 1',
    )
    .toArray();
  if (row !== undefined) return { count: row.sequence, hash: new Uint8Array(row.hash) };
  return { count: 0, hash: readChainStart(sql)?.hash ?? emptyChain.hash };
}

/** A page of the chain, oldest first, exactly as stored. */
export function readDecisionPage(sql: SqlStorage, after: number, limit: number) {
  return sql
    .exec<{ sequence: number; record: string; hash: ArrayBuffer }>(
      'SELECT sequence, record, hash FROM decisions WHERE sequence > ? ORDER BY sequence LIMIT ?',
      after,
      limit,
    )
    .toArray()
    .map((row) => ({
      sequence: row.sequence,
      record: row.record,
      hash: new Uint8Array(row.hash),
    }));
}
