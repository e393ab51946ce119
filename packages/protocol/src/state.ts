import * as z from 'zod/mini';
import { decodeBase64url } from './base64url.ts';
import { sha256Text } from './schemas.ts';

/**
 * Export and import of everything that the broker stores, and the marks that an older copy is noticed by. For the
 * owner, under `/v1/admin/state`. A page holds rows as they are stored; only the receiver gives them new places.
 */

/** A stored value: text, number, NULL, or bytes. */
export const stateValue = z.union([
  z.string(),
  z.number(),
  z.null(),
  z.strictObject({
    bytes: z.string().check(z.refine((text) => decodeBase64url(text) !== undefined)),
  }),
]);
export type StateValue = z.infer<typeof stateValue>;

/** By column. */
export const stateRow = z.record(z.string(), stateValue);
export type StateRow = z.infer<typeof stateRow>;

/** Rows by table. Those of one page were read at one moment. */
export const stateTables = z.record(z.string(), z.array(stateRow));
export type StateTables = z.infer<typeof stateTables>;

/**
 * What an object's state is read and written in, in this order. A section has one table of its name, except `devices`:
 * each device comes with its certificates, so that a page never splits what belongs together.
 */
export const stateSections = {
  device: [
    'chain_start',
    'decisions',
    // Before the devices: where a tombstone is on record, their certificates have been ended.
    'user_tombstones',
    'integration_tombstones',
    'devices',
    // After them: a token whose certificate is on record has been spent.
    'enrollment_tokens',
    'enrollment_approvals',
    'archived_chains',
    'archived_decisions',
  ],
  key: ['keys'],
  organization: [
    'settings',
    'applications',
    'clients',
    'users',
    'binding_reservations',
    'tombstone_jobs',
    'tombstone_deliveries',
    'imports',
    'integrations',
    'user_groups',
    'group_members',
    'group_changes',
    'directory_users',
    'directory_removals',
    'zones',
    'zone_versions',
    'policy_versions',
    'access_versions',
    'admins',
    'idempotency_keys',
    // The organization's own log: its rows have the form of decisions.
    'decisions',
  ],
} as const satisfies Record<string, readonly string[]>;
export type StateObject = keyof typeof stateSections;

/** In this order an export of a running broker holds together: what is read later knows at least as much. */
export const stateObjects = ['device', 'key', 'organization'] as const satisfies StateObject[];

export const stateSection = z.enum([
  ...stateSections.device,
  ...stateSections.key,
  ...stateSections.organization,
]);
export type StateSection = z.infer<typeof stateSection>;

/** Names the state that a chain of decisions was archived from: `<id of the export>.<shard>`. */
export const chainId = z.string().check(z.regex(/^[A-Za-z0-9_-]{22}\.[0-9]{1,4}$/));
export const exportId = z.string().check(z.regex(/^[A-Za-z0-9_-]{22}$/));

export const chainHead = z.object({ count: z.int(), hash: sha256Text });

/**
 * A value that every change of an object raises, never lowers: the number and head of its decisions, its newest
 * certificate, and a count of all else.
 */
export const deviceMark = z.object({
  ...chainHead.shape,
  certificates: z.int(),
  changes: z.int(),
});
export type DeviceMark = z.infer<typeof deviceMark>;
export const keyMark = z.object({ changes: z.int() });
export const organizationMark = z.object({
  version: z.int(),
  changes: z.int(),
  /** How many imports this state has been through, and the id of the last. */
  imports: z.int(),
  import_id: z.nullable(exportId),
});
export type OrganizationMark = z.infer<typeof organizationMark>;

/** An object that could not be read; whatever it is asked is refused, too. */
const unreadable = z.object({
  unreadable: z.string(),
  /** It was written by another version of Countersign. */
  other_version: z.boolean(),
});

/** `GET /v1/admin/state/marks?from={shard}`: at most 256 shards. */
export const marksAnswer = z.object({
  organization_id: z.string(),
  shard_count: z.int(),
  organization: z.union([organizationMark, unreadable]),
  shards: z.array(
    z.object({
      shard: z.int(),
      device: z.union([deviceMark, unreadable]),
      key: z.union([keyMark, unreadable]),
    }),
  ),
});
export type MarksAnswer = z.infer<typeof marksAnswer>;
export const marksPerPage = 256;

/** Names of the schema steps of each class: what is exported by a newer version is not imported by an older one. */
export const stateSchemas = z.object({
  device: z.array(z.string()),
  key: z.array(z.string()),
  organization: z.array(z.string()),
});

/** `GET /v1/admin/state`. */
export const stateAnswer = z.object({
  organization_id: z.string(),
  shard_count: z.int(),
  imports: z.int(),
  schemas: stateSchemas,
});

/**
 * `GET /v1/admin/state/rows?object=…&shard=…&section=…&after=…&through=…`. `after` is the `next` of the page before;
 * `through` ends the decisions at a head that was captured.
 */
export const statePage = z.object({ tables: stateTables, next: z.nullable(z.string()) });
export type StatePage = z.infer<typeof statePage>;

/** `POST /v1/admin/state/import`: only where nothing is stored yet. From then on nothing is served until the end. */
export const importBeginning = z.strictObject({
  import_id: exportId,
  /** Imports that the exported state had been through. */
  imports: z.int().check(z.minimum(0)),
  created_at: z.string(),
  chains: z.array(z.strictObject({ chain_id: chainId, ...chainHead.shape })),
});
export type ImportBeginning = z.infer<typeof importBeginning>;

/** `POST /v1/admin/state/import/rows`: a page of an export, with where it was read. */
export const importPage = z.strictObject({
  import_id: exportId,
  object: z.enum(stateObjects),
  shard: z.int().check(z.minimum(0)),
  section: stateSection,
  tables: stateTables,
});
export type ImportPage = z.infer<typeof importPage>;

/** `POST /v1/admin/state/import/finish`. */
export const importEnd = z.strictObject({ import_id: exportId });

/** `GET /v1/admin/archived-chains`: the chains of decisions from before each import. */
export const archivedChains = z.object({
  chains: z.array(z.object({ chain_id: chainId, ...chainHead.shape })),
});

/** `GET /v1/admin/archived-chains/{chain id}/decisions?after={sequence}&limit={1…1000}`: as of a shard. */
export const archivedDecisionPage = z.object({
  chain_id: chainId,
  decisions: z.array(z.object({ sequence: z.int(), record: z.string(), hash: sha256Text })),
  /** Whose hash the first row builds on, when this chain had an older one before it. */
  start: z.nullable(z.string()),
  head: chainHead,
});
