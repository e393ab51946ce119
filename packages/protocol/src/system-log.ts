import * as z from 'zod/mini';
import { compactJws, numericDate, p256PublicJwk, sha256Text } from './schemas.ts';

/**
 * The system log: every decision and every other event as administrators search, export and forward it. Its members are
 * called as in the logs of identity providers, so that rules written for those still find them.
 */

/** `CHALLENGE`: a sign-in that waits for a further factor. */
export const logResults = ['SUCCESS', 'FAILURE', 'CHALLENGE'] as const;
export type LogResult = (typeof logResults)[number];

export const logEvent = z.object({
  /** Hash of the row in its chain, base64url: the same however often and from wherever the event is read. */
  uuid: sha256Text,
  /** RFC 3339, when it was recorded. */
  published: z.string(),
  eventType: z.string(),
  displayMessage: z.string(),
  severity: z.enum(['INFO', 'WARN']),
  outcome: z.object({ result: z.enum(logResults), reason: z.optional(z.string()) }),
  actor: z.object({ type: z.string(), id: z.optional(z.string()) }),
  user: z.optional(z.string()),
  application: z.optional(z.string()),
  integrationId: z.optional(z.string()),
  certificate: z.optional(
    z.object({
      serialNumber: z.optional(z.string()),
      fingerprintSha256: z.optional(z.string()),
      issuerId: z.optional(z.string()),
    }),
  ),
  enrollmentStrength: z.optional(z.string()),
  /** What helps to find a cause, `device_id` among it. Names may change between versions. */
  debugContext: z.object({ debugData: z.record(z.string(), z.string()) }),
  /** Where the record itself is: chain and sequence number in it. */
  record: z.object({ chain: z.string(), sequence: z.int() }),
});
export type LogEvent = z.infer<typeof logEvent>;

/**
 * `arrival`: in the order in which events came together here; who goes on from a cursor misses none, however late it
 * came. `newest` and `oldest`: by the time at which they were recorded.
 */
export const logOrders = ['arrival', 'newest', 'oldest'] as const;
export type LogOrder = (typeof logOrders)[number];

export const maxLogPage = 1000;
export const defaultLogPage = 100;

const filterText = z.string().check(z.minLength(1), z.maxLength(512));

/** A type, or with `.*` at its end all types that begin so: `pki.cert.*`. A star elsewhere would find nothing. */
export const eventTypeFilter = filterText.check(
  z.regex(/^[^*]+(\.\*)?$/, { error: 'may have a star only as .* at its end, like pki.cert.*' }),
);

/** `GET /v1/admin/log?…`: all filters together must fit. */
export const logQuery = z.strictObject({
  /** RFC 3339: recorded at or after, and before. */
  since: z.optional(z.iso.datetime({ offset: true })),
  until: z.optional(z.iso.datetime({ offset: true })),
  event_type: z.optional(eventTypeFilter),
  outcome: z.optional(z.enum(logResults)),
  user: z.optional(filterText),
  device_id: z.optional(filterText),
  integration_id: z.optional(filterText),
  application: z.optional(filterText),
  reason: z.optional(filterText),
  /** Of the certificate, hexadecimal. */
  serial_number: z.optional(z.string().check(z.regex(/^[0-9a-fA-F]{1,40}$/))),
  order: z._default(z.enum(logOrders), 'arrival'),
  after: z.optional(z.string()),
  limit: z.optional(z.string()),
  format: z._default(z.enum(['json', 'ndjson']), 'json'),
});
export type LogQuery = z.infer<typeof logQuery>;

/** `GET /v1/admin/log`. A page may be short, or empty, although there is more: `more` says so. */
export const logPage = z.object({
  events: z.array(logEvent),
  /** Goes on after this page, at any later time, with the same filters and order. */
  next: z.string(),
  more: z.boolean(),
});

/** `GET /v1/admin/organization/events?after={sequence}&limit={1…1000}`: the organization's own chain, oldest first. */
export const organizationEventPage = z.object({
  events: z.array(z.object({ sequence: z.int(), record: z.string(), hash: sha256Text })),
  head: z.object({ count: z.int(), hash: sha256Text }),
});

/** `PUT /v1/admin/log/settings`. The chains themselves are kept for ever. */
export const logSettings = z.strictObject({
  /** For how long events can be searched. */
  retention_days: z.int().check(z.minimum(1), z.maximum(3650)),
});
export const defaultRetentionDays = 400;

/** `POST /v1/admin/log/rebuild`: how many chains were asked to bring everything again. */
export const logRebuildAnswer = z.object({ status: z.literal('pending'), chains: z.int() });

/** `POST /v1/admin/log-streams`. */
export const logStreamInput = z.strictObject({
  name: z.string().check(z.minLength(1), z.maxLength(128)),
  /** https, a public host name. */
  url: z.string().check(z.minLength(1), z.maxLength(2048)),
  /** `now`: what comes from now on. `beginning`: all that can be searched, first. */
  from: z._default(z.enum(['now', 'beginning']), 'now'),
});

export const logStream = z.object({
  stream_id: z.string(),
  name: z.string(),
  url: z.string(),
  status: z.enum(['active', 'paused']),
  created_at: z.string(),
  /** As in `GET /v1/admin/log`: what comes after it has not been delivered. */
  cursor: z.string(),
  waiting_events: z.int(),
  delivered_at: z.optional(z.string()),
  /** Since when deliveries fail, how often in a row, why, and when the next one is tried. */
  failing: z.optional(
    z.object({
      since: z.string(),
      attempts: z.int(),
      detail: z.string(),
      retry_at: z.optional(z.string()),
    }),
  ),
});
export type LogStream = z.infer<typeof logStream>;

/** `GET /v1/admin/log-streams`. */
export const logStreams = z.object({ streams: z.array(logStream) });

/** Answer to `POST`: the secret is shown this once. */
export const logStreamCreated = z.object({ stream: logStream, secret: z.string() });

/** `POST /v1/admin/log-streams/{id}/test`: one delivery without events, and what became of it. */
export const logStreamTest = z.object({ delivered: z.boolean(), detail: z.string() });

/** Headers of a delivery: `v1=` and hexadecimal HMAC-SHA-256 over `<timestamp>.<body>`; seconds since the epoch. */
export const streamSignatureHeader = 'Countersign-Signature';
export const streamTimestampHeader = 'Countersign-Timestamp';

export const auditCheckpointTyp = 'audit-checkpoint+jwt';

/** How many chains one checkpoint holds at most: it has to fit into a syslog message. */
export const chainsPerCheckpoint = 32;

/** The state of one chain: after `count` rows its newest row's hash is `hash`. */
const checkpointChain = z.object({
  /** A shard's number, `organization`, or of a chain that an import archived `<export id>.<shard>`. */
  chain: z.string(),
  /** Id of the import that the chain began with: chains of one shard before and after an import have one name. */
  began_with: z.optional(z.string()),
  count: z.int().check(z.minimum(1)),
  hash: sha256Text,
});
export type CheckpointChain = z.infer<typeof checkpointChain>;

/** Claims of a checkpoint, a JWS by the broker (ES256; keys at `/.well-known/jwks.json`). */
export const auditCheckpointClaims = z.object({
  iss: z.url(),
  iat: numericDate,
  chains: z.array(checkpointChain).check(z.minLength(1), z.maxLength(chainsPerCheckpoint)),
});
export type AuditCheckpointClaims = z.infer<typeof auditCheckpointClaims>;

/**
 * `GET /v1/admin/checkpoints`: together they name every chain that has rows. Beside them the keys that they verify with
 * at this time: who keeps both can verify them when those keys were exchanged long ago.
 */
export const checkpointSet = z.object({
  checkpoints: z.array(compactJws(32 * 1024)),
  keys: z.array(z.extend(p256PublicJwk, { kid: z.string(), purpose: z.literal('audit') })),
});
export type CheckpointSet = z.infer<typeof checkpointSet>;

/** The same as it was kept elsewhere, maybe by a version whose keys named no purpose: whoever verifies judges that. */
export const keptCheckpointSet = z.object({
  checkpoints: checkpointSet.shape.checkpoints,
  keys: z.array(z.extend(p256PublicJwk, { kid: z.string(), purpose: z.optional(z.string()) })),
});
export type KeptCheckpointSet = z.infer<typeof keptCheckpointSet>;

/** Body of a delivery to a webhook. At least once: who receives it tells what came before by `uuid`. */
export const logDelivery = z.object({
  stream_id: z.string(),
  test: z.optional(z.literal(true)),
  ...checkpointSet.shape,
  events: z.array(logEvent),
});
export type LogDelivery = z.infer<typeof logDelivery>;
