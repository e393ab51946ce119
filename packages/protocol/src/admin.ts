import * as z from 'zod/mini';
import {
  certificateProfileNames,
  issuanceInterfaces,
  revocationReasons,
} from './certificate-life.ts';
import { enrollingUser, hardwareId } from './enrollment.ts';
import { enrollmentStrengths } from './enrollment-strength.ts';
import { integrationId } from './integration-id.ts';
import { maxOriginsCharacters, maxOriginsPerClient } from './limits.ts';
import { platforms, postureSwitches } from './posture.ts';
import {
  base64urlOf,
  chosenId,
  factor,
  p256PublicJwk,
  secureWebOrigin,
  sha256Text,
} from './schemas.ts';

/** The admin API: `Authorization: Bearer <owner token>`. Every PUT is idempotent. */

/** `PUT /v1/admin/applications/{id}`. `enforce` denies what no rule allows. `monitor`
 * allows it and records why it would have been denied; what no challenge opened for is denied all the same, because
 * its refusal carries no token that a sign-in server could verify. */
export const applicationInput = z
  .strictObject({
    name: z.string().check(z.minLength(1), z.maxLength(128)),
    /** `global`: the global policy says it, and everything else that follows. */
    enforcement: z.enum(['enforce', 'monitor', 'global']),
    /** What a trusted device may do: sign in, or sign in with a further factor. Left out: `allow`. */
    trusted_devices: z.optional(z.enum(['allow', 'step_up'])),
    /** What every other device may do. Left out: `deny`. */
    other_devices: z.optional(z.enum(['deny', 'step_up'])),
    /** The further factor. Left out: phishing-resistant (OpenID Connect EAP ACR Values 1.0). */
    factor: z.optional(
      factor.check(
        z.refine(({ acr_values, amr_values }) => acr_values.length + amr_values.length > 0, {
          error: 'must name at least one acr or amr value',
        }),
      ),
    ),
    /** Enrollments that make a device a trusted one here; left out, all that count for their integration. */
    enrollment_strengths: z.optional(z.array(z.enum(enrollmentStrengths)).check(z.minLength(1))),
    /** In place of a policy of rules, which would otherwise stay. */
    replace_policy: z._default(z.boolean(), false),
  })
  .check(
    z.refine(
      ({ enforcement, trusted_devices, other_devices, factor, enrollment_strengths }) =>
        enforcement !== 'global' ||
        [trusted_devices, other_devices, factor, enrollment_strengths].every(
          (choice) => choice === undefined,
        ),
      { path: ['enforcement'], error: 'is global, so there is nothing else to choose here' },
    ),
  );
export type ApplicationInput = z.infer<typeof applicationInput>;
/** What a request may leave out. */
export type ApplicationRequest = z.input<typeof applicationInput>;

/** A property of subjects, resources or actions, of which a client's word counts. */
export const propertySource = z
  .strictObject({
    entity: z.enum(['subject', 'resource', 'action']),
    name: z.string().check(z.regex(/^[A-Za-z][A-Za-z0-9_.:-]{0,63}$/)),
    /** Before what is stored; left out, only where nothing is. */
    overrides_stored: z.optional(z.boolean()),
  })
  .check(
    z.refine(({ entity, overrides_stored }) => entity !== 'action' || overrides_stored !== true, {
      path: ['overrides_stored'],
      error: 'must not be true of actions, of which nothing is stored',
    }),
  );

/** `PUT /v1/admin/clients/{id}`. The secret itself never reaches the broker: 32 random bytes, SHA-256 of their base64url text. */
export const clientInput = z.strictObject({
  name: z.string().check(z.minLength(1), z.maxLength(128)),
  origins: z.array(secureWebOrigin).check(
    z.minLength(1),
    z.maxLength(maxOriginsPerClient),
    z.refine((origins) => origins.join('').length <= maxOriginsCharacters, {
      error: `must have at most ${maxOriginsCharacters} characters together`,
    }),
  ),
  applications: z.array(chosenId).check(z.minLength(1), z.maxLength(64)),
  authentication: z.discriminatedUnion('method', [
    z.strictObject({ method: z.literal('client_secret'), secret_sha256: sha256Text }),
    z.strictObject({
      method: z.literal('private_key_jwt'),
      keys: z
        .array(z.extend(p256PublicJwk, { kid: z.string().check(z.minLength(1), z.maxLength(64)) }))
        .check(z.minLength(1), z.maxLength(8)),
    }),
  ]),
  /** What evaluations and searches of this client may say of others; left out, nothing. */
  property_sources: z.optional(
    z.array(propertySource).check(
      z.maxLength(64),
      z.refine(
        (sources) =>
          new Set(sources.map(({ entity, name }) => `${entity} ${name}`)).size === sources.length,
        { error: 'must name each property once' },
      ),
    ),
  ),
  /** Whether it may ask who is allowed something, and so learn the ids of users; left out, it may not. */
  subject_search: z.optional(z.boolean()),
});
export type ClientInput = z.infer<typeof clientInput>;

/** Answer to both PUTs: until `complete_at` (RFC 3339) a decision may still follow the older version. */
export const changeAnswer = z.object({
  id: z.string(),
  organization_version: z.int(),
  changed: z.boolean(),
  complete_at: z.string(),
});

/** `POST /v1/admin/enrollment-tokens`: a token that one device may spend once. */
export const enrollmentTokenInput = z.strictObject({
  hardware_id: hardwareId,
  ttl_seconds: z.int().check(z.minimum(60), z.maximum(30 * 86_400)),
  /** The integration whose certificate it gives; left out, one of none, which counts for every user. */
  integration_id: z.optional(integrationId),
  /** Whom it is for, where the directory is to be asked about them. */
  user: z.optional(enrollingUser),
});
export const enrollmentTokenAnswer = z.object({
  enrollment_token: base64urlOf(32),
  device_id: z.string(),
  expires_at: z.string(),
});

export const certificateStatuses = [
  'intent',
  'issued',
  'bound',
  'superseded',
  'suspended',
  'revoked',
] as const;

/** `GET /v1/admin/devices/{device id}`. */
export const deviceAnswer = z.object({
  device_id: z.string(),
  hardware_id: hardwareId,
  created_at: z.string(),
  /** `blocked` devices get no certificate; `blocked_reason` says why. */
  status: z.enum(['active', 'blocked']),
  blocked_reason: z.optional(z.string()),
  /** SHA-256 of the TPM's endorsement key, base64url, where one attested the device. */
  endorsement_key_sha256: z.optional(z.string()),
  /** What the device's management said when it was last asked. */
  management: z.optional(
    z.object({
      integration_id: z.string(),
      checked_at: z.string(),
      mdm_id: z.optional(z.string()),
    }),
  ),
  /** How it is kept, by who says so. Absent in a list of devices. */
  posture: z.optional(
    z.object({
      /** As it signed with its last answer to a challenge, if that was lately. */
      device: z.optional(
        z.object({
          told_at: z.string(),
          platform: z.string(),
          os_version: z.string(),
          ...postureSwitches,
          /** By its own clock. */
          measured_at: z.optional(z.string()),
        }),
      ),
      /** As its management reported it. */
      mdm: z.optional(
        z.object({
          /** When the management looked. */
          reported_at: z.string(),
          /** False when that is too long ago, or the integration is not in use: then policies do not know of it. */
          counts: z.boolean(),
          platform: z.optional(z.enum(platforms)),
          os_version: z.optional(z.string()),
          ...postureSwitches,
        }),
      ),
    }),
  ),
  unbound_certificates: z.int(),
  certificates: z.array(
    z.object({
      fingerprint_sha256: z.string(),
      serial_number: z.string(),
      status: z.enum(certificateStatuses),
      not_before: z.string(),
      not_after: z.string(),
      bound_user: z.optional(z.string()),
      /** Whom it was asked for; it binds to whoever signs in with it first all the same. */
      requested_user: z.optional(z.string()),
      /** The user was deactivated, or had all bindings ended, since: it counts no longer. */
      binding_ended: z.optional(z.literal(true)),
      enrollment_strength: z.enum(enrollmentStrengths),
      profile: z.enum(certificateProfileNames),
      issued_via: z.enum(issuanceInterfaces),
      /** Of the issuing certificate: its SHA-256, base64url. */
      issuer_id: z.string(),
      /** Absent for one of no integration. */
      integration_id: z.optional(z.string()),
      /** The same for a certificate and all that renewed it. */
      lineage: z.int(),
      /** Of one that was replaced: the end of its overlap. */
      usable_until: z.optional(z.string()),
      revoked_at: z.optional(z.string()),
      revocation_reason: z.optional(z.enum(revocationReasons)),
    }),
  ),
});

/** `POST /v1/admin/devices/{device id}/certificates/{SHA-256, base64url}/revoke`. */
export { revocationInput } from './certificate-life.ts';

/** `GET /v1/admin/shards/{n}/decisions?after={sequence}&limit={1…1000}`: the hash chain, oldest first. */
export const decisionPage = z.object({
  shard: z.int(),
  decisions: z.array(
    z.object({
      sequence: z.int(),
      /** Canonical JSON (RFC 8785), exactly as hashed. */
      record: z.string(),
      /** SHA-256 over the previous row's hash (32 zero bytes at first) and the record's UTF-8 bytes. */
      hash: sha256Text,
    }),
  ),
  /** After an import: canonical JSON whose SHA-256 takes the place of the 32 zero bytes before the first row. */
  start: z.optional(z.string()),
  /** Number of rows and hash of the newest one, for comparison with what was kept elsewhere. */
  head: z.object({ count: z.int(), hash: sha256Text }),
});
