import * as z from 'zod/mini';

/**
 * What happens beside decisions, as it is recorded: in the table and hash chain of the decisions of its shard, so that
 * each shard has one ordered log. Changes by administrators are a chain of their own, in the organization.
 */

/** A chain that is being written: a device shard's number, or the organization's. */
export type ChainName = number | 'organization';

/** Event types with their display messages. */
export const displayMessages = {
  'user.credential.enroll': 'Device Trust certificate enrollment',
  'pki.cert.issue': 'Device Trust certificate issuance',
  'pki.cert.renew': 'Device Trust certificate renewal',
  'pki.cert.revoke': 'Device Trust certificate revocation',
  'pki.cert.hold': 'Device Trust certificate hold',
  'pki.cert.release': 'Device Trust certificate release from hold',
  'pki.cert.supersede': 'Device Trust certificate superseded by one of another key',
  'device.block': 'Device blocked',
  'device.unblock': 'Device unblocked',
  'device.enrollment.approve': 'Device Trust enrollment approval',
  'log.stream.pause': 'System log stream paused after failures',
  'user.authentication.fail_open': 'Sign-in let in while the broker could not be reached',
  'log.failure.suppress': 'Failures beyond the limit, not recorded one by one',
} as const;

/** What a decision shows as in the system log. Mapped when its row is read, never written a second time. */
export const authenticationEventType = 'user.authentication.authenticate';
export const authenticationDisplayMessage = 'Authentication of device via certificate';

/** What rows of access inside of applications show as, mapped likewise. */
export const accessEventType = 'user.access.evaluate';
export const accessDisplayMessage = 'Evaluation of access inside of an application';

/** A change by an administrator: `admin.<noun>.<verb>`, as in `admin.integration.create`. */
export type AdminEventType = `admin.${string}.${string}`;
export type SystemLogEventType = keyof typeof displayMessages | AdminEventType;

/** Adds `Administration:` to what the type says: "Administration: create enrollment token". */
export function displayMessageOf(eventType: SystemLogEventType): string {
  const known = Object.entries(displayMessages).find(([name]) => name === eventType);
  if (known !== undefined) return known[1];
  const [, noun = '', verb = ''] = eventType.split('.');
  return `Administration: ${verb} ${noun}`.replaceAll('_', ' ');
}

export const outcomes = ['SUCCESS', 'FAILURE'] as const;

/** Who did it; `id` is the device's, the administrator's, the integration's or the client's. */
const actor = z.object({
  type: z.enum(['device', 'admin', 'integration', 'system', 'client']),
  id: z.optional(z.string()),
});

const namedCertificate = z.object({
  /** base64url, as in decisions; absent where there is no certificate yet. */
  fingerprint_sha256: z.optional(z.string()),
  /** Lower-case hexadecimal, as devices are described. */
  serial_number: z.string(),
  issuer_id: z.string(),
  /** The certificate's number in its shard. */
  number: z.optional(z.int()),
});

/**
 * An event as it is recorded. The `record` column holds its canonical JSON (RFC 8785), which the hash chain covers.
 * Members are never renamed or removed, because recorded hashes depend on them; new ones may be added.
 */
export const systemLogRecord = z.object({
  v: z.literal(1),
  kind: z.literal('event'),
  shard: z.union([z.int(), z.literal('organization')]),
  sequence: z.int(),
  recorded_at_ms: z.int(),
  /** A fresh random id. */
  id: z.string(),
  event_type: z.string(),
  display_message: z.string(),
  outcome: z.enum(outcomes),
  /** Of a failure its code; of a success, where it has one, why: the reason of a revocation. */
  reason: z.optional(z.string()),
  actor,
  user: z.optional(z.string()),
  certificate: z.optional(namedCertificate),
  integration_id: z.optional(z.string()),
  /** Strength of the enrollment. */
  strength: z.optional(z.string()),
  /** Texts for people who look for the cause; `device_id` is the device's. */
  debug_data: z.record(z.string(), z.string()),
});
export type SystemLogRecord = z.infer<typeof systemLogRecord>;

/** An event as its author gives it: the row's own members are added where it is appended. */
export type SystemLogEvent = Readonly<
  Omit<
    SystemLogRecord,
    'v' | 'kind' | 'shard' | 'sequence' | 'recorded_at_ms' | 'id' | 'event_type' | 'display_message'
  >
> & { readonly event_type: SystemLogEventType };

/**
 * Says that failures go on of which no more are recorded in this minute.
 *
 * @param of the type that they would have
 * @param count how many so far
 * @param reason of the newest of them
 */
export function suppressedEvent(
  of: string,
  count: number,
  reason: string,
  facts: Readonly<Record<string, string>> = {},
): SystemLogEvent {
  return {
    event_type: 'log.failure.suppress',
    outcome: 'FAILURE',
    reason,
    actor: { type: 'system' },
    debug_data: { ...facts, of, not_recorded: String(count) },
  };
}
