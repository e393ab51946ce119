import * as z from 'zod/mini';
import { base64urlOf, chosenId, compactJws, numericDate } from './schemas.ts';

/**
 * Letting people in while the broker cannot be reached: chosen by administrators for one application, allowed to its
 * sign-in servers by a signed statement that ends, and told to the broker when it is back. The broker itself never does.
 */

/** Of the setting, and so of the longest outage that it reaches across. */
export const failOpenMinAgeSeconds = 60;
export const failOpenMaxAgeSeconds = 86_400;
export const failOpenDefaultAgeSeconds = 3600;

/** How often a sign-in server asks for a new statement, and learns that there is none any more. */
export const failOpenRenewalSeconds = 60;

/** `PUT /v1/admin/applications/{id}/fail-open`. */
export const failOpenInput = z
  .strictObject({
    enabled: z.boolean(),
    /** Life of a statement. */
    max_age_seconds: z._default(
      z.int().check(z.minimum(failOpenMinAgeSeconds), z.maximum(failOpenMaxAgeSeconds)),
      failOpenDefaultAgeSeconds,
    ),
    /** That this is understood; needed to switch it on. */
    accept_untrusted_devices: z._default(z.boolean(), false),
  })
  .check(
    z.refine(({ enabled, accept_untrusted_devices }) => !enabled || accept_untrusted_devices, {
      path: ['accept_untrusted_devices'],
      error:
        'must be true: while the broker cannot be reached, everybody with a password gets in, from any device, and who can cut the broker off can bring that about',
    }),
  );
export type FailOpenInput = z.infer<typeof failOpenInput>;

/** `GET /v1/admin/applications/{id}/fail-open`. */
export const failOpenAnswer = z.object({
  application_id: z.string(),
  enabled: z.boolean(),
  /** Present while it is on. */
  max_age_seconds: z.optional(z.int()),
  /** While statements of an earlier, longer setting live: all of them have ended by then (RFC 3339). */
  statements_end_at: z.optional(z.string()),
  organization_version: z.int(),
});

/** Answer to the change. */
export const failOpenChangeAnswer = z.object({
  id: z.string(),
  organization_version: z.int(),
  changed: z.boolean(),
  complete_at: z.string(),
  /** While statements of an earlier, longer setting live: all of them have ended by then (RFC 3339). */
  statements_end_at: z.optional(z.string()),
});

export const failOpenTyp = 'fail-open+jwt';

/** `POST /v1/fail-open-statements`, by a sign-in server, long before it needs one. */
export const failOpenRequest = z.strictObject({ application: chosenId });

export const failOpenStatementAnswer = z.object({
  statement: compactJws(4096),
  /** When to ask again. */
  renew_after_seconds: z.int(),
});

/** Claims of a statement, a JWS by the broker (ES256; keys at `/.well-known/jwks.json`). */
export const failOpenClaims = z.object({
  iss: z.url(),
  /** The client that may. */
  aud: z.string(),
  application: z.string(),
  jti: base64urlOf(16),
  iat: numericDate,
  exp: numericDate,
});
export type FailOpenClaims = z.infer<typeof failOpenClaims>;

/** Why there was no decision, as the sign-in server saw it. */
export const failOpenCauses = ['broker_unreachable', 'broker_timeout', 'broker_failed'] as const;

/** One sign-in that was let in without a decision. */
export const failOpenReport = z.strictObject({
  /** Random; a report that comes again is the same one. */
  report_id: base64urlOf(16),
  application: chosenId,
  subject: z.string().check(z.minLength(1), z.maxLength(256)),
  /** RFC 3339, by the sign-in server's clock. */
  occurred_at: z.iso.datetime(),
  cause: z.enum(failOpenCauses),
  /** `jti` of the statement that allowed it. */
  statement_id: base64urlOf(16),
});
export type FailOpenReport = z.infer<typeof failOpenReport>;

/** The longest names, each character escaped, stay below the limit of a body. */
export const maxFailOpenReports = 25;

/** `POST /v1/fail-open-reports`: what happened meanwhile. May be sent again. */
export const failOpenReports = z.strictObject({
  reports: z.array(failOpenReport).check(z.minLength(1), z.maxLength(maxFailOpenReports)),
});
export const failOpenReportsAnswer = z.object({
  /** All of them are on record. */
  recorded: z.int(),
});
