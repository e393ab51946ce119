import * as z from 'zod/mini';
import { appendRow } from '../audit/append-row.ts';
import type { AccessDecision } from '../policy/decide-access.ts';
import type { WrittenChain } from './decision-record.ts';

/**
 * What one request was answered about access inside of applications, as it is recorded: a row in the chain of
 * decisions, however many evaluations it asked for. The `record` column holds its canonical JSON (RFC 8785), which the
 * hash chain covers. Members are never renamed or removed, because recorded hashes depend on them.
 */
const properties = z.record(
  z.string(),
  z.nullable(z.readonly(z.array(z.union([z.string(), z.number(), z.boolean()])))),
);

export const recordedAccess = z.object({
  subject_type: z.string(),
  subject: z.string(),
  action: z.string(),
  resource_type: z.string(),
  resource: z.string(),
  /** Absent where no application of the client has resources of this type. */
  application: z.optional(z.string()),
  /** Of the application's document of access; 0 where there was none to ask. */
  policy_version: z.int(),
  decision: z.boolean(),
  reason: z.string(),
  rule: z.string(),
  groups: z.optional(z.array(z.string())),
  /** Where a decision token told. */
  device_trusted: z.optional(z.boolean()),
  /** Where it was a trusted one at that sign-in: what it has lost since. */
  untrusted_reason: z.optional(z.string()),
  /** What the client said of what it is the source of. */
  asserted: z.optional(
    z.object({
      subject: z.optional(properties),
      resource: z.optional(properties),
      action: z.optional(properties),
    }),
  ),
});
export type RecordedAccess = z.infer<typeof recordedAccess>;

export const accessRecord = z.object({
  v: z.literal(1),
  kind: z.literal('access'),
  shard: z.int(),
  sequence: z.int(),
  recorded_at_ms: z.int(),
  /** A fresh random id. */
  id: z.string(),
  client_id: z.string(),
  organization_version: z.int(),
  evaluations: z.array(recordedAccess),
});
export type AccessRecord = z.infer<typeof accessRecord>;

function trustOf(trust: AccessDecision['deviceTrust']) {
  if (trust === undefined) return {};
  return trust.trusted || trust.reason === undefined
    ? { device_trusted: trust.trusted }
    : { device_trusted: false, untrusted_reason: trust.reason };
}

export function recordedOf(decided: AccessDecision): RecordedAccess {
  const { question, application, groups, deviceTrust, asserted } = decided;
  return {
    subject_type: question.subject.type,
    subject: question.subject.id,
    action: question.action.name,
    resource_type: question.resource.type,
    resource: question.resource.id,
    ...(application === undefined ? {} : { application }),
    policy_version: decided.policyVersion,
    decision: decided.decision,
    reason: decided.reason,
    rule: decided.rule,
    ...(groups.length === 0 ? {} : { groups: groups.toSorted() }),
    ...trustOf(deviceTrust),
    ...(Object.keys(asserted).length === 0 ? {} : { asserted }),
  };
}

/** Appends a row to the shard's chain. */
export function appendAccess(
  chain: WrittenChain,
  fields: Omit<AccessRecord, 'v' | 'kind' | 'sequence'>,
): AccessRecord {
  const sequence = chain.head.count + 1;
  const record: AccessRecord = { v: 1, kind: 'access', sequence, ...fields };
  const key = { id: record.id, device_id: '', stage: 0 } as const;
  chain.head = appendRow(chain.sql, chain.head, key, record);
  return record;
}
