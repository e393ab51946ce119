import type { ProblemCode } from '@countersign/protocol';
import type { IntegrationImpact } from '@countersign/protocol/admin-integrations';
import { answerTexts } from '@countersign/protocol/answer-texts';
import type { ProblemDocument } from '@countersign/protocol/problem';

/** A request that is refused; nothing was decided, issued or changed. */
export type Problem = {
  readonly code: ProblemCode;
  /** Names what was wrong, in dotted form. */
  readonly field?: string;
  /** What the sender may know beyond the code's own text. */
  readonly detail?: string;
  /** What only the log may know. */
  readonly logDetail?: string;
  readonly retryAfterSeconds?: number;
  readonly allow?: string;
  /** What would break; a member of the document (RFC 9457 section 3.2). */
  readonly impact?: IntegrationImpact;
};

type Status = 400 | 401 | 403 | 404 | 405 | 409 | 412 | 413 | 421 | 429 | 500 | 501 | 503;

/** The one map from codes to HTTP; a new code does not compile until it has a status. */
export const statusOf: Readonly<Record<ProblemCode, Status>> = {
  json_malformed: 400,
  field_invalid: 400,
  body_too_large: 413,
  // Not 415: AuthZEN's certification asks for 400, and a code has one status.
  content_type_unsupported: 400,
  not_found: 404,
  method_not_allowed: 405,
  client_authentication_failed: 401,
  admin_authentication_failed: 401,
  client_unknown: 403,
  origin_not_registered: 403,
  rate_limited: 429,
  hardware_id_invalid: 400,
  hardware_id_placeholder: 400,
  hardware_id_duplicate: 409,
  enrollment_not_allowed: 403,
  enrollment_token_invalid: 403,
  enrollment_token_expired: 403,
  enrollment_token_spent: 403,
  enrollment_proof_invalid: 403,
  enrollment_secret_unknown: 403,
  enrollment_clock_skew: 403,
  enrollment_approval_needed: 403,
  enrollment_throttled: 429,
  enrollment_user_unknown: 403,
  enrollment_user_inactive: 403,
  read_only: 503,
  renewal_request_malformed: 400,
  renewal_signature_invalid: 403,
  csr_malformed: 400,
  csr_signature_invalid: 400,
  csr_key_not_allowed: 400,
  key_of_other_device: 409,
  key_blocked: 403,
  enrollment_limit_reached: 409,
  device_blocked: 403,
  integration_deleted: 403,
  enrollment_approval_not_found: 404,
  renewal_certificate_unknown: 403,
  renewal_certificate_revoked: 403,
  renewal_certificate_suspended: 403,
  renewal_certificate_expired: 403,
  renewal_certificate_superseded: 409,
  renewal_key_in_use: 409,
  renewal_limit_reached: 409,
  certificate_not_found: 404,
  device_not_found: 404,
  application_not_found: 404,
  user_not_found: 404,
  job_not_found: 404,
  snapshot_unavailable: 503,
  storage_unavailable: 503,
  deployment_mismatch: 503,
  configuration_invalid: 503,
  internal_error: 500,
  mtls_not_enabled: 404,
  // RFC 9110 section 15.5.20.
  mtls_wrong_host: 421,
  mtls_challenge_invalid: 400,
  mtls_challenge_expired: 403,
  mtls_certificate_missing: 403,
  mtls_certificate_not_verified: 403,
  mtls_certificate_foreign: 403,
  mtls_certificate_not_yet_valid: 403,
  mtls_certificate_expired: 403,
  import_incomplete: 503,
  import_refused: 409,
  endorsement_certificate_malformed: 400,
  endorsement_certificate_untrusted: 403,
  endorsement_certificate_expired: 403,
  endorsement_key_mismatch: 400,
  endorsement_key_not_allowed: 403,
  endorsement_key_of_other_device: 409,
  attestation_key_not_allowed: 400,
  attestation_malformed: 400,
  attestation_invalid: 403,
  attestation_expired: 403,
  attestation_wrong_device: 403,
  attestation_secret_wrong: 403,
  attestation_signature_invalid: 403,
  attestation_wrong_request: 403,
  attested_key_mismatch: 403,
  attested_key_not_protected: 403,
  renewal_needs_attestation: 403,
  admin_forbidden: 403,
  admin_not_found: 404,
  integration_not_found: 404,
  integration_in_use: 409,
  device_trust_in_use: 409,
  application_has_rules: 409,
  policy_not_found: 404,
  policy_version_conflict: 409,
  zone_not_found: 404,
  zone_in_use: 409,
  zone_limit_reached: 409,
  group_not_found: 404,
  group_in_use: 409,
  group_owned_by_directory: 409,
  user_inactive_in_directory: 409,
  directory_subject_fixed: 409,
  // Nothing about the request is wrong: it is to come again, and goes through once an administrator has said so.
  directory_quota_reached: 429,
  scim_syntax_invalid: 400,
  scim_value_invalid: 400,
  scim_path_invalid: 400,
  scim_filter_invalid: 400,
  scim_conflict: 409,
  scim_resource_not_found: 404,
  scim_version_mismatch: 412,
  scim_not_supported: 501,
  issuer_not_found: 404,
  issuer_in_use: 409,
  idempotency_key_reused: 409,
  idempotency_in_progress: 409,
  idempotency_outcome_unknown: 409,
  log_cursor_unknown: 409,
  log_stream_not_found: 404,
  log_stream_limit_reached: 409,
  // Most of these are only written down: SCEP has a failure of its own, inside of a 200.
  scep_not_enabled: 404,
  scep_operation_unknown: 400,
  scep_message_malformed: 400,
  scep_message_type_not_allowed: 403,
  scep_algorithm_not_allowed: 403,
  scep_signature_invalid: 403,
  scep_signer_mismatch: 403,
  scep_request_invalid: 403,
  scep_challenge_invalid: 403,
  scep_challenge_spent: 403,
  scep_challenge_expired: 403,
  scep_challenge_wrong_device: 403,
  scep_device_unnamed: 403,
  scep_transaction_reused: 403,
  device_not_managed: 403,
  device_not_in_inventory: 403,
  device_check_in_stale: 403,
  integration_unavailable: 503,
  integration_busy: 503,
  integration_credentials_invalid: 503,
  integration_answer_malformed: 503,
  webhook_authentication_failed: 401,
  subject_search_not_allowed: 403,
  decision_not_found: 404,
  fail_open_off: 404,
};

const retryAfterByCode: Partial<Record<ProblemCode, number>> = {
  idempotency_in_progress: 2,
  rate_limited: 60,
  directory_quota_reached: 3600,
  integration_unavailable: 60,
  integration_busy: 60,
  integration_credentials_invalid: 300,
  integration_answer_malformed: 300,
  enrollment_throttled: 60,
  read_only: 300,
  snapshot_unavailable: 1,
  storage_unavailable: 1,
};

/** RFC 9110 section 11.6.1. An administrator's address must not make a browser ask for a password. */
const authenticationChallenges: Partial<Record<ProblemCode, string>> = {
  client_authentication_failed: 'Basic realm="countersign", Bearer',
  admin_authentication_failed: 'Bearer',
  webhook_authentication_failed: 'Basic realm="countersign", Bearer',
};

/** What an answer says that has the problem inside of it: of one evaluation among several. */
export function describeProblem({ code, detail, field }: Problem) {
  const said = [field, detail].filter((part) => part !== undefined).join(' ');
  const message = said === '' ? answerTexts[code].administrator : said;
  return { status: statusOf[code], message, code, ...(field === undefined ? {} : { field }) };
}

/** RFC 9457 problem document. The text for administrators is the title: it is written to be read in a log. */
export function problemResponse(problem: Problem): Response {
  const status = statusOf[problem.code];
  const texts = answerTexts[problem.code];
  const document: ProblemDocument & Pick<Problem, 'impact'> = {
    type: `urn:countersign:problem:${problem.code}`,
    title: texts.administrator,
    status,
    code: problem.code,
    user_text: texts.person,
    ...(problem.detail === undefined ? {} : { detail: problem.detail }),
    ...(problem.field === undefined ? {} : { field: problem.field }),
    ...(problem.impact === undefined ? {} : { impact: problem.impact }),
  };
  const headers = problemHeaders(problem, 'application/problem+json');
  return new Response(JSON.stringify(document), { status, headers });
}

/** What a refusal says beside its body, whatever the body's form is. */
export function problemHeaders(problem: Problem, contentType: string): Headers {
  const headers = new Headers({ 'Content-Type': contentType });
  const retryAfter = problem.retryAfterSeconds ?? retryAfterByCode[problem.code];
  if (retryAfter !== undefined) headers.set('Retry-After', String(retryAfter));
  const challenges = authenticationChallenges[problem.code];
  if (challenges !== undefined) headers.set('WWW-Authenticate', challenges);
  if (problem.allow !== undefined) headers.set('Allow', problem.allow);
  return headers;
}
