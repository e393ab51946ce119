import * as z from 'zod/mini';

/** The admin API's part on who may do what, on modes, and on issuers. */

export const adminRoles = [
  'owner',
  'administrator',
  'application_manager',
  'help_desk',
  'read_only',
  /** For directories: SCIM, and nothing else. */
  'provisioner',
] as const;
export type AdminRole = (typeof adminRoles)[number];

export const adminId = z
  .string()
  .check(z.regex(/^adm_[A-Za-z0-9_-]{22}$/, { error: 'must be adm_ and 22 base64url characters' }));

/** `cadm_` and 32 random bytes. The broker keeps its SHA-256 alone. */
export const adminToken = z.string().check(z.regex(/^cadm_[A-Za-z0-9_-]{43}$/));

const adminName = z.string().check(z.minLength(1), z.maxLength(128));
const tokenLifetime = z._default(
  z.int().check(z.minimum(3600), z.maximum(366 * 86_400)),
  90 * 86_400,
);

/** `POST /v1/admin/admins`. */
export const adminInput = z.strictObject({
  name: adminName,
  role: z.enum(adminRoles),
  token_ttl_seconds: tokenLifetime,
});
export type AdminInput = z.infer<typeof adminInput>;

/** `PUT /v1/admin/admins/{id}`. */
export const adminChange = z.strictObject({ name: adminName, role: z.enum(adminRoles) });
export type AdminChange = z.infer<typeof adminChange>;

/** `POST /v1/admin/admins/{id}/token`: a new token; the one before it is refused from then on. */
export const adminTokenInput = z.strictObject({ token_ttl_seconds: tokenLifetime });

/** Times are RFC 3339. */
export const adminAnswer = z.object({
  admin_id: adminId,
  name: z.string(),
  role: z.enum(adminRoles),
  created_at: z.string(),
  token_expires_at: z.string(),
  revoked_at: z.optional(z.string()),
});
export type AdminAnswer = z.infer<typeof adminAnswer>;

/** `GET /v1/admin/admins`. */
export const adminList = z.object({ admins: z.array(adminAnswer) });

/** Answer to a creation (201) and to a new token: the token is shown this once. */
export const adminTokenAnswer = z.object({ admin: adminAnswer, admin_token: adminToken });

/** `GET /v1/admin/self`: who asks. `admin_id` is `owner` for the owner token of the settings. */
export const selfAnswer = z.object({
  admin_id: z.string(),
  role: z.enum(adminRoles),
  permissions: z.array(z.string()),
});

/**
 * `PUT /v1/admin/mode`. While `read_only`, nothing is enrolled or renewed and administrators create and change nothing,
 * except to take trust away; sign-ins go on.
 */
export const modeInput = z.strictObject({
  read_only: z.boolean(),
  /** What is said to those who are refused. */
  retry_after_seconds: z._default(z.int().check(z.minimum(1), z.maximum(86_400)), 300),
  /** Whether a certificate may be asked for only in the name of a user whom an administrator has made known. */
  require_known_users: z._default(z.boolean(), false),
});
export type ModeInput = z.infer<typeof modeInput>;

/** Answer to it and to `GET /v1/admin/mode`. */
export const modeAnswer = z.object({
  read_only: z.boolean(),
  retry_after_seconds: z.optional(z.int()),
  require_known_users: z.boolean(),
  organization_version: z.int(),
});

/** base64url of the SHA-256 of the issuer's certificate. */
export const issuerId = z.string().check(z.regex(/^[A-Za-z0-9_-]{43}$/));

/** `GET /v1/admin/issuers`. */
export const issuerList = z.object({
  issuers: z.array(
    z.object({
      issuer_id: issuerId,
      subject: z.string(),
      not_after: z.string(),
      /** `issuing`: new certificates are of it. `trusted`: its certificates count. `retired`: they do not. */
      standing: z.enum(['issuing', 'trusted', 'retired']),
      /** Certificates of it that would count now, if it is not retired. */
      live_certificates: z.int(),
    }),
  ),
});

/** `POST /v1/admin/issuers/{id}/activate` and `…/retire`. */
export const issuerChangeInput = z.strictObject({ override: z._default(z.boolean(), false) });
export const issuerChangeAnswer = z.object({
  issuer_id: issuerId,
  standing: z.enum(['issuing', 'trusted', 'retired']),
  organization_version: z.int(),
  changed: z.boolean(),
  complete_at: z.string(),
});

/** `Idempotency-Key`: the same request with the same key within 24 hours gets the same answer, and happens once. */
export const idempotencyKey = z
  .string()
  .check(z.regex(/^[\x21-\x7e]{1,128}$/, { error: 'must be 1 to 128 visible ASCII characters' }));
