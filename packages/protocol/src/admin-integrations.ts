import * as z from 'zod/mini';
import { certificateProfileNames } from './certificate-life.ts';
import { enrollmentStrengths } from './enrollment-strength.ts';
import { integrationId } from './integration-id.ts';
import { chosenId, p256PublicJwk } from './schemas.ts';
import { userId } from './user-id.ts';

/** The admin API's part on management integrations, and on the groups of users that they are tried out with. */

export { integrationId };

export const integrationKinds = [
  'jamf_pro',
  'intune',
  'jumpcloud',
  'kandji',
  'inventory_file',
] as const;

const httpsUrl = z.string().check(
  z.maxLength(255),
  z.refine((text) => text.startsWith('https://') && URL.canParse(text), {
    error: 'must be a URL with https',
  }),
);
const shortText = z.string().check(z.minLength(1), z.maxLength(256));

/**
 * Where the management is and as whom the broker asks it, by `kind`. `tenant_url` is the address that administrators
 * open in their browser; that of the API follows from it. The secret that goes with it is `credentials`.
 */
export const integrationConnection = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('jamf_pro'),
    tenant_url: httpsUrl,
    authentication: z.discriminatedUnion('method', [
      z.strictObject({ method: z.literal('client_credentials'), client_id: shortText }),
      z.strictObject({ method: z.literal('basic'), username: shortText }),
    ]),
  }),
  z.strictObject({
    kind: z.literal('intune'),
    /** Directory (tenant) id, or a domain of it. */
    tenant_id: z.string().check(
      z.regex(/^[A-Za-z0-9][A-Za-z0-9.-]{0,127}$/, {
        error: 'must be a directory id or a domain',
      }),
    ),
    client_id: shortText,
    /** For national clouds; left out, the global one. */
    login_url: z._default(httpsUrl, 'https://login.microsoftonline.com'),
    graph_url: z._default(httpsUrl, 'https://graph.microsoft.com'),
    management_url: z._default(httpsUrl, 'https://api.manage.microsoft.com'),
  }),
  z.strictObject({
    kind: z.literal('jumpcloud'),
    tenant_url: z._default(httpsUrl, 'https://console.jumpcloud.com'),
    /** Of a provider with several organizations. */
    organization_id: z.optional(shortText),
  }),
  z.strictObject({ kind: z.literal('kandji'), tenant_url: httpsUrl }),
  z.strictObject({ kind: z.literal('inventory_file') }),
]);
export type IntegrationConnection = z.infer<typeof integrationConnection>;

/** The client's secret, the password, the API key or the token, as the connection has it. Never answered. */
export const integrationCredentials = z.strictObject({
  secret: z.string().check(z.minLength(1), z.maxLength(4096)),
});
export type IntegrationCredentials = z.infer<typeof integrationCredentials>;

export const maxGroupsOfState = 16;

/** Whose sign-ins its certificates count for. */
export const integrationState = z.discriminatedUnion('mode', [
  z.strictObject({ mode: z.literal('disabled') }),
  z.strictObject({
    mode: z.literal('test_groups'),
    groups: z.array(chosenId).check(z.minLength(1), z.maxLength(maxGroupsOfState)),
  }),
  z.strictObject({ mode: z.literal('all_users') }),
]);
export type IntegrationState = z.infer<typeof integrationState>;

export const scepSettings = z.strictObject({ enabled: z.boolean() });

/** Which TPMs are believed, where the authority is `hardware_attested`. */
export const attestationSettings = z.strictObject({
  /** Certificates of the makers' authorities, PEM. */
  roots_pem: z.array(z.string().check(z.maxLength(8192))).check(z.maxLength(16)),
  /** `any_with_secret`: any TPM of those makers, with a proof by the organization secret beside it. */
  endorsement_keys: z.enum(['listed', 'any_with_secret']),
  /** SHA-256 of endorsement keys (SubjectPublicKeyInfo), base64url. */
  listed_sha256: z.array(z.string().check(z.regex(/^[A-Za-z0-9_-]{43}$/))).check(z.maxLength(512)),
});

const name = z.string().check(z.minLength(1), z.maxLength(128));

/** What a change may change, with what holds where it is left out. */
const settings = {
  profile: z._default(z.enum(certificateProfileNames), '1y'),
  /** What permits an enrollment. */
  authority: z._default(z.enum(enrollmentStrengths), 'organization_secret'),
  /** Whether certificates that were enrolled by the organization secret make a device trusted. */
  trust_shared_secret: z._default(z.boolean(), false),
  /** Whether an enrollment names a user, who is known and active. */
  require_active_user: z._default(z.boolean(), false),
  /** A device that the management has not heard of for longer is not managed. */
  max_check_in_age_seconds: z._default(
    z.int().check(z.minimum(3600), z.maximum(366 * 86_400)),
    30 * 86_400,
  ),
  /** How often each device is looked up. */
  poll_interval_seconds: z._default(z.int().check(z.minimum(60), z.maximum(7 * 86_400)), 3600),
  /** While the management does not answer: no new certificate, or one without its word. Sign-ins go on. */
  outage: z._default(z.enum(['refuse', 'issue']), 'refuse'),
  scep: z._default(scepSettings, { enabled: false }),
  attestation: z._default(attestationSettings, {
    roots_pem: [],
    endorsement_keys: 'listed',
    listed_sha256: [],
  }),
} as const;

/** `POST /v1/admin/integrations`. Whatever it says, a new integration is disabled. */
export const integrationInput = z
  .strictObject({
    name,
    ...settings,
    connection: integrationConnection,
    credentials: z.optional(integrationCredentials),
  })
  .check(
    z.refine(
      ({ connection, credentials }) =>
        (connection.kind === 'inventory_file') === (credentials === undefined),
      { error: 'must be there, unless the kind is inventory_file', path: ['credentials'] },
    ),
  );
export type IntegrationInput = z.infer<typeof integrationInput>;
export type IntegrationRequest = z.input<typeof integrationInput>;

/**
 * `PUT /v1/admin/integrations/{id}`: every setting anew. Of another kind it does not become. Credentials that are left
 * out stay as they are.
 */
export const integrationChange = z.strictObject({
  name,
  ...settings,
  connection: integrationConnection,
  credentials: z.optional(integrationCredentials),
  /** Although people would be locked out, as by trusting the shared secret no longer. */
  override: z._default(z.boolean(), false),
});
export type IntegrationChange = z.infer<typeof integrationChange>;

/** The public half of the organization secret. */
const secretDescription = z.object({
  secret_id: z.string(),
  created_at: z.string(),
});

/** What an integration is, for administrators and in the broker's own records. */
export const integrationFacts = {
  integration_id: integrationId,
  /** Raised by every change of it. */
  version: z.int(),
  name: z.string(),
  kind: z.enum(integrationKinds),
  state: integrationState,
  profile: z.enum(certificateProfileNames),
  authority: z.enum(enrollmentStrengths),
  trust_shared_secret: z.boolean(),
  require_active_user: z.boolean(),
  max_check_in_age_seconds: z.int(),
  poll_interval_seconds: z.int(),
  outage: z.enum(['refuse', 'issue']),
  connection: integrationConnection,
} as const;

/** An integration as administrators see it. Times are RFC 3339. */
export const integrationAnswer = z.object({
  ...integrationFacts,
  has_credentials: z.boolean(),
  secret: z.optional(secretDescription),
  has_webhook_secret: z.boolean(),
  scep: scepSettings,
  attestation: attestationSettings,
  created_at: z.string(),
});
export type IntegrationAnswer = z.infer<typeof integrationAnswer>;

/** `GET /v1/admin/integrations`. */
export const integrationList = z.object({ integrations: z.array(integrationAnswer) });

/** What to run on devices: with the broker's URL and, once, the organization secret filled in. */
export const enrollmentScripts = z.object({
  /** POSIX shell, for macOS and Linux. */
  posix: z.string(),
  /** A command line for Windows. */
  windows: z.string(),
});

/**
 * Answer to a creation (201) and to `POST /v1/admin/integrations/{id}/secret`. The secret is shown here, and nowhere
 * again: `cses_<integration id>_<base64url of the 32-byte P-256 private scalar>`.
 */
export const integrationSecretAnswer = z.object({
  integration: integrationAnswer,
  organization_secret: z.string(),
  scripts: enrollmentScripts,
});
export type IntegrationSecretAnswer = z.infer<typeof integrationSecretAnswer>;

/** `POST /v1/admin/integrations/{id}/webhook-secret`: what the management's webhooks authenticate with, shown once. */
export const webhookSecretAnswer = z.object({
  integration: integrationAnswer,
  webhook_secret: z.string(),
});

/** `PUT /v1/admin/integrations/{id}/state`. `override`: although something would break. */
export const integrationStateInput = z.strictObject({
  state: integrationState,
  override: z._default(z.boolean(), false),
});

/** What relies on an integration's certificates, or on all of them, at the moment. */
export const integrationImpact = z.object({
  /** Applications that let trusted devices in: with `other` = `deny` nobody else gets in. */
  applications: z.array(
    z.object({
      application_id: z.string(),
      name: z.string(),
      enforcement: z.enum(['enforce', 'monitor']),
      other_devices: z.enum(['deny', 'step_up']),
    }),
  ),
  /** Certificates that are good now. */
  live_certificates: z.int(),
  /** Those of them that a user has signed in with. */
  bound_certificates: z.int(),
  /** People who sign in with these. */
  affected_users: z.int(),
  /** In this order. */
  steps: z.array(z.string()),
});
export type IntegrationImpact = z.infer<typeof integrationImpact>;

/** Member `impact` of the problem documents of `integration_in_use` and `device_trust_in_use`. */
export const inUseProblem = z.object({ impact: integrationImpact });

/** Answer to a change and to a change of state. `takes_effect`: what its certificates count for from now on. */
export const integrationChangeAnswer = z.object({
  integration: integrationAnswer,
  organization_version: z.int(),
  changed: z.boolean(),
  complete_at: z.string(),
  takes_effect: z.optional(integrationImpact),
});

/** `DELETE /v1/admin/integrations/{id}`: 202 while `pending`, 200 when every certificate of it is revoked. */
export const integrationDeletion = z.object({
  integration_id: integrationId,
  status: z.enum(['pending', 'complete']),
  job_id: z.string(),
});

export const maxGroupMembers = 100_000;

/** `PUT /v1/admin/groups/{id}`: all members of it. */
export const groupInput = z.strictObject({
  name,
  members: z.array(userId).check(z.maxLength(maxGroupMembers)),
});
export type GroupInput = z.infer<typeof groupInput>;

/** Who changes the group: administrators, or the directory that brought it. */
const groupOrigin = z.enum(['administrator', 'directory']);

/** `GET /v1/admin/groups/{id}`. */
export const groupAnswer = z.object({
  group_id: chosenId,
  name: z.string(),
  origin: groupOrigin,
  members: z.array(z.string()),
  /** Integrations that are on trial with it. */
  integrations: z.array(integrationId),
  /** Applications whose own policies name it. */
  applications: z.array(z.string()),
  in_global_policy: z.boolean(),
});

/** `GET /v1/admin/groups`. */
export const groupList = z.object({
  groups: z.array(
    z.object({ group_id: chosenId, name: z.string(), origin: groupOrigin, members: z.int() }),
  ),
});

/** The public half of an organization secret, as it is stored. */
export const organizationSecretJwk = p256PublicJwk;
