import * as z from 'zod/mini';
import { policyFinding } from './lint/finding.ts';
import {
  applicationPolicy,
  applicationPolicyFields,
  effectivePolicyDocument,
  policyDocument,
  policyFields,
} from './policy-document.ts';
import { simulation } from './simulate.ts';
import { hypotheticalSignIn, whatIfOutcome } from './what-if.ts';
import { networkZone, zoneFields } from './zones.ts';

/** What administrators send and are answered, about policies and zones. */

const changeFacts = {
  /** Why, for whoever reads the versions. */
  comment: z._default(z.string().check(z.maxLength(512)), ''),
  /** The version that it is to take the place of; left out, whichever there is. */
  expected_version: z.optional(z.int().check(z.minimum(1))),
};

/** `PUT /v1/admin/applications/{id}/policy`. */
export const policyChange = z.strictObject({
  policy: z.strictObject(applicationPolicyFields),
  ...changeFacts,
});
export type PolicyChange = z.infer<typeof policyChange>;

/** `PUT /v1/admin/global-policy`. */
export const globalPolicyChange = z.strictObject({
  policy: z.strictObject(policyFields),
  ...changeFacts,
});
export type GlobalPolicyChange = z.infer<typeof globalPolicyChange>;

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
/** `built_in`: nobody has written one. */
export const globalPolicySources = ['built_in', 'rules'] as const;

const authorFacts = {
  /** The administrator's id, or `owner`. */
  author: z.string(),
  comment: z.string(),
  /** RFC 3339. */
  created_at: z.string(),
};
const versionFacts = { source: z.enum(policySources), ...authorFacts };
const globalVersionFacts = { source: z.enum(globalPolicySources), ...authorFacts };

/** `GET /v1/admin/applications/{id}/policy` and, with a version, that one. */
export const policyAnswer = z.object({
  application_id: z.string(),
  policy: applicationPolicy,
  /** Of the one in force, where it leaves something to the global policy: both together, as sign-ins are decided by. */
  effective: z.optional(effectivePolicyDocument),
  ...versionFacts,
  /** Where people are let in while the broker is away: for so long after a sign-in server last heard from it. */
  fail_open: z.optional(z.object({ max_age_seconds: z.int() })),
});

/** `GET /v1/admin/applications/{id}/policy/versions`, newest first. */
export const policyVersions = z.object({
  application_id: z.string(),
  versions: z.array(z.object({ version: z.int(), rules: z.int(), ...versionFacts })),
});

/** `GET /v1/admin/applications`. */
export const applicationList = z.object({
  applications: z.array(
    z.object({
      application_id: z.string(),
      name: z.string(),
      source: z.enum(policySources),
      policy_version: z.int(),
      /** Of its own policy, where `global` is what it leaves to the global one. */
      enforcement: applicationPolicyFields.enforcement,
      rules: z.int(),
      otherwise: applicationPolicyFields.otherwise,
      /** Ids of clients that may ask about it. */
      clients: z.array(z.string()),
    }),
  ),
});

/** `GET /v1/admin/global-policy` and, with a version, that one. */
export const globalPolicyAnswer = z.object({ policy: policyDocument, ...globalVersionFacts });

/** `GET /v1/admin/global-policy/versions`, newest first. */
export const globalPolicyVersions = z.object({
  versions: z.array(z.object({ version: z.int(), rules: z.int(), ...globalVersionFacts })),
});

const simulatedPeriod = {
  comment: z.optional(z.string()),
  expected_version: z.optional(z.int()),
  /** Sign-ins at or after, and before (RFC 3339); left out, until now. */
  since: z.iso.datetime({ offset: true }),
  until: z.optional(z.iso.datetime({ offset: true })),
};

/** `POST /v1/admin/applications/{id}/policy/simulate`. A file that can be pushed can be simulated. */
export const simulationRequest = z.strictObject({
  policy: z.strictObject(applicationPolicyFields),
  ...simulatedPeriod,
});

/** `POST /v1/admin/global-policy/simulate`: on the sign-ins of all applications that leave something to it. */
export const globalSimulationRequest = z.strictObject({
  policy: z.strictObject(policyFields),
  ...simulatedPeriod,
});

/** Answer to it. `complete`: false where there are more records than one request looks at. */
export const simulationAnswer = z.extend(simulation, { complete: z.boolean() });

/** `POST /v1/admin/applications/{id}/policy/what-if`. Policies left out are those in force. */
export const whatIfRequest = z.strictObject({
  given: hypotheticalSignIn,
  policy: z.optional(z.strictObject(applicationPolicyFields)),
  global_policy: z.optional(z.strictObject(policyFields)),
});

/** Answer to it. Groups that the request left out are those on record. */
export const whatIfAnswer = z.extend(whatIfOutcome, {
  application_id: z.string(),
  policy_version: z.int(),
});

/** `PUT /v1/admin/zones/{id}`. */
export const zoneInput = z.strictObject(zoneFields);
export type ZoneInput = z.infer<typeof zoneInput>;

/** `GET /v1/admin/zones`. */
export const zoneList = z.object({ zones: z.array(networkZone) });
