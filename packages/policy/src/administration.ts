import * as z from 'zod/mini';
import { policyFinding } from './lint/lint-policy.ts';
import { policyDocument, policyFields } from './policy-document.ts';
import { simulation } from './simulate.ts';
import { networkZone, zoneFields } from './zones.ts';

/** What administrators send and are answered, about policies and zones. */

/** `PUT /v1/admin/applications/{id}/policy`. */
export const policyChange = z.strictObject({
  policy: z.strictObject(policyFields),
  /** Why, for whoever reads the versions. */
  comment: z._default(z.string().check(z.maxLength(512)), ''),
  /** The version that it is to take the place of; left out, whichever there is. */
  expected_version: z.optional(z.int().check(z.minimum(1))),
});
export type PolicyChange = z.infer<typeof policyChange>;

/** Answer to it: until `complete_at` (RFC 3339) a decision may still follow the older version. */
export const policyChangeAnswer = z.object({
  id: z.string(),
  organization_version: z.int(),
  changed: z.boolean(),
  complete_at: z.string(),
  /** What may not be meant; nothing of it keeps the policy from being taken. */
  findings: z.array(policyFinding),
});

/** `choices`: of what `PUT /v1/admin/applications/{id}` asks for; `rules`: written as a policy. */
export const policySources = ['choices', 'rules'] as const;

const versionFacts = {
  source: z.enum(policySources),
  /** The administrator's id, or `owner`. */
  author: z.string(),
  comment: z.string(),
  /** RFC 3339. */
  created_at: z.string(),
};

/** `GET /v1/admin/applications/{id}/policy` and, with a version, that one. */
export const policyAnswer = z.object({
  application_id: z.string(),
  policy: policyDocument,
  ...versionFacts,
  /** Where people are let in while the broker is away: for so long after a sign-in server last heard from it. */
  fail_open: z.optional(z.object({ max_age_seconds: z.int() })),
});

/** `GET /v1/admin/applications/{id}/policy/versions`, newest first. */
export const policyVersions = z.object({
  application_id: z.string(),
  versions: z.array(z.object({ version: z.int(), rules: z.int(), ...versionFacts })),
});

/** `POST /v1/admin/applications/{id}/policy/simulate`. A file that can be pushed can be simulated. */
export const simulationRequest = z.strictObject({
  policy: z.strictObject(policyFields),
  comment: z.optional(z.string()),
  expected_version: z.optional(z.int()),
  /** Sign-ins at or after, and before (RFC 3339); left out, until now. */
  since: z.iso.datetime({ offset: true }),
  until: z.optional(z.iso.datetime({ offset: true })),
});

/** Answer to it. `complete`: false where there are more records than one request looks at. */
export const simulationAnswer = z.extend(simulation, { complete: z.boolean() });

/** `PUT /v1/admin/zones/{id}`. */
export const zoneInput = z.strictObject(zoneFields);
export type ZoneInput = z.infer<typeof zoneInput>;

/** `GET /v1/admin/zones`. */
export const zoneList = z.object({ zones: z.array(networkZone) });
