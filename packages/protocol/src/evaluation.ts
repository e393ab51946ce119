import * as z from 'zod/mini';
import { maxEvidenceBytes } from './limits.ts';
import { base64urlBetween, factor } from './schemas.ts';

/**
 * `POST /access/v1/evaluation` (AuthZEN Authorization API 1.0) about a sign-in; what else may be asked there is in
 * `authzen.ts`. Unknown members are ignored, as the standard asks, and so are `properties`, which say nothing of a sign-in.
 * The sign-in server authenticates as a client: HTTP Basic with its secret, or `Authorization: Bearer` with a JWT
 * assertion (RFC 7523 section 3: `iss` and `sub` the client id, `aud` the broker's URL, `exp` at most five minutes away).
 */
export const evaluationRequest = z.object({
  subject: z.object({
    type: z.string().check(z.minLength(1), z.maxLength(64)),
    id: z.string().check(z.minLength(1), z.maxLength(256)),
  }),
  action: z.object({ name: z.string().check(z.minLength(1), z.maxLength(64)) }),
  resource: z.object({
    type: z.string().check(z.minLength(1), z.maxLength(64)),
    id: z.string().check(z.minLength(1), z.maxLength(256)),
  }),
  /**
   * AuthZEN lets a request do without a context and with one that knows nothing of this. No challenge opens for the
   * empty transaction, so such a request is decided like every sign-in without evidence.
   */
  context: z._default(
    z.object({
      /** What `attest()` returned; left out when the page sent none. */
      evidence: z.optional(z.string().check(z.maxLength(maxEvidenceBytes))),
      /** From the sign-in server's own session, never from the form. */
      transaction: z._default(base64urlBetween(16, 64), ''),
      /** True when this subject's primary authentication has succeeded. */
      subject_authenticated: z._default(z.boolean(), false),
      /** Where the person is, as the sign-in server sees it: IPv4 or IPv6. */
      ip_address: z.optional(z.string().check(z.maxLength(64))),
      /** A browser, or an application that shows one; or a protocol with a password alone. */
      client_type: z.optional(z.enum(['web_or_modern', 'legacy'])),
      /** What the sign-in server takes the device for. What a device has signed counts more. */
      platform: z.optional(
        z.enum(['ios', 'android', 'other_mobile', 'windows', 'macos', 'other_desktop']),
      ),
    }),
    { transaction: '', subject_authenticated: false },
  ),
});
export type EvaluationRequest = z.infer<typeof evaluationRequest>;

export const subjectTypeUser = 'user';
export const resourceTypeApplication = 'application';
export const actionSignIn = 'sign_in';

export const localizedText = z.object({ en: z.string() });

export const evaluationAnswer = z.object({
  decision: z.boolean(),
  context: z.object({
    /** `DecisionReason`; a string here, so that an older SDK survives a newer broker. */
    reason_code: z.string(),
    reason_admin: localizedText,
    reason_user: localizedText,
    /** Of a denial, and of a sign-in that waits: where the person can read on. Nothing but https. */
    learn_more_url: z.optional(z.string()),
    /** Names the decision row: `<shard>.<sequence>`. */
    decision_id: z.string(),
    policy: z.object({
      version: z.int(),
      rule: z.string(),
      /** What the rule asked for and what it saw, for administrators. Absent where no rule decided. */
      criteria: z.optional(
        z.array(
          z.object({
            criterion: z.string(),
            /** `unknown`: nobody has said what would tell, and the stricter outcome counts. */
            verdict: z.enum(['met', 'not_met', 'unknown']),
            wanted: z.string(),
            seen: z.string(),
          }),
        ),
      ),
    }),
    device_trusted: z.boolean(),
    /** Why the device is not trusted, where `reason_code` says something else: who would be denied under `enforce`. */
    untrusted_reason: z.optional(z.string()),
    /** Of an allow: after so many seconds the sign-in server asks the person anew. */
    reauthenticate_after_seconds: z.optional(z.int()),
    /**
     * Present on a pending decision: what the sign-in server has to see to before it completes the decision with the
     * same evidence. One of each list that is not empty must be asserted.
     */
    step_up: z.optional(
      z.object({
        ...factor.shape,
        /** True when the completion must assert that the subject's primary authentication has succeeded. */
        subject_authenticated: z.boolean(),
        /** RFC 3339. */
        expires_at: z.string(),
      }),
    ),
    /** Present on final decisions that a challenge was opened for. */
    decision_token: z.optional(z.string()),
  }),
});
export type EvaluationAnswer = z.infer<typeof evaluationAnswer>;

/**
 * `POST /v1/completions`: finishes a pending decision after a step-up, with the same subject, resource, action, evidence
 * and transaction. Answered like an evaluation.
 */
export const completionRequest = z.extend(evaluationRequest, {
  /** How the subject was authenticated, as the sign-in server asserts it: Authentication Context Class Reference. */
  acr: z.optional(z.string().check(z.minLength(1), z.maxLength(256))),
  /** Authentication Method References (RFC 8176). */
  amr: z._default(
    z.array(z.string().check(z.minLength(1), z.maxLength(64))).check(z.maxLength(16)),
    [],
  ),
});
