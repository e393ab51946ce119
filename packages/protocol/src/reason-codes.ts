/**
 * Every code that Countersign answers with, as closed unions. Append only: a code that was once published keeps its
 * meaning for ever. `reason-texts.ts` must have a text for each one or the workspace does not compile.
 */

/** Why a page, an extension or a host could not produce a device response. Reported by the client, so never proof. */
export const unavailableCodes = [
  'extension_not_installed',
  'extension_timeout',
  'extension_error',
  'extension_origin_not_allowed',
  'extension_frame_not_allowed',
  'host_not_installed',
  'host_blocked_by_policy',
  'host_forbidden',
  'host_exited',
  'host_timeout',
  'host_answer_malformed',
  'host_internal_error',
  'host_configuration_invalid',
  'host_configuration_untrusted',
  'host_version_unsupported',
  'message_malformed',
  'message_too_large',
  'origin_not_allowed',
  'not_enrolled',
  'key_unavailable',
  'challenge_malformed',
  'challenge_signature_invalid',
  'challenge_key_unknown',
  'challenge_wrong_audience',
  'clock_skew',
  'key_set_invalid',
  'broker_unreachable',
] as const;
export type UnavailableCode = (typeof unavailableCodes)[number];

/** The cryptography or the record says no: the evidence proves no device. */
export const verificationCodes = [
  'evidence_missing',
  'evidence_malformed',
  'challenge_malformed',
  'challenge_signature_invalid',
  'challenge_key_unknown',
  'challenge_wrong_client',
  'challenge_wrong_transaction',
  'challenge_wrong_audience',
  'challenge_expired',
  'challenge_already_used',
  'response_undecryptable',
  'response_malformed',
  'response_signature_invalid',
  'response_wrong_challenge',
  'response_wrong_audience',
  'response_wrong_origin',
  'certificate_malformed',
  'certificate_unknown',
  'certificate_not_yet_valid',
  'certificate_expired',
  'certificate_revoked',
  'certificate_superseded',
  'certificate_suspended',
  'issuer_not_active',
  'mtls_evidence_undecryptable',
  'mtls_evidence_malformed',
  'mtls_evidence_key_unknown',
  'mtls_evidence_signature_invalid',
  'mtls_evidence_wrong_challenge',
  'mtls_evidence_wrong_audience',
  'mtls_evidence_wrong_origin',
  'mtls_evidence_expired',
  'evidence_lineage_mismatch',
  'not_pending',
  'step_up_expired',
  'step_up_wrong_subject',
  'step_up_wrong_application',
  'step_up_wrong_evidence',
  'step_up_insufficient',
] as const;
export type VerificationCode = (typeof verificationCodes)[number];

/** The evidence is sound, or does not matter, and the policy or the directory says no. */
export const policyDenialCodes = [
  'application_unknown',
  'client_not_allowed_for_application',
  'action_unknown',
  'subject_type_unknown',
  'subject_not_authenticated',
  'subject_inactive',
  'user_revoked',
  'certificate_bound_to_other_user',
  'authentication_required',
  'step_up_required',
  'policy_denied',
  'revoked',
] as const;
export type PolicyDenialCode = (typeof policyDenialCodes)[number];

/** Why a sign-in was allowed. */
export const allowCodes = [
  'trusted_device',
  'monitor_only',
  'policy_allowed',
  'step_up_completed',
] as const;
export type AllowCode = (typeof allowCodes)[number];

/** Every reason that a decision can carry. */
export type DecisionReason = UnavailableCode | VerificationCode | PolicyDenialCode | AllowCode;

/** Problem documents (RFC 9457) of the broker's HTTP interfaces: the request itself was refused, nothing was decided. */
export const problemCodes = [
  'json_malformed',
  'field_invalid',
  'body_too_large',
  'content_type_unsupported',
  'not_found',
  'method_not_allowed',
  'client_authentication_failed',
  'admin_authentication_failed',
  'client_unknown',
  'origin_not_registered',
  'rate_limited',
  'hardware_id_invalid',
  'hardware_id_placeholder',
  'hardware_id_duplicate',
  'enrollment_not_allowed',
  'enrollment_token_invalid',
  'enrollment_token_expired',
  'enrollment_token_spent',
  'enrollment_proof_invalid',
  'enrollment_secret_unknown',
  'enrollment_clock_skew',
  'enrollment_approval_needed',
  'enrollment_throttled',
  'enrollment_user_unknown',
  'enrollment_user_inactive',
  'read_only',
  'renewal_request_malformed',
  'renewal_signature_invalid',
  'csr_malformed',
  'csr_signature_invalid',
  'csr_key_not_allowed',
  'key_of_other_device',
  'key_blocked',
  'enrollment_limit_reached',
  'certificate_not_found',
  'device_not_found',
  'application_not_found',
  'user_not_found',
  'job_not_found',
  'snapshot_unavailable',
  'storage_unavailable',
  'deployment_mismatch',
  'configuration_invalid',
  'internal_error',
  'import_incomplete',
  'import_refused',
  'mtls_not_enabled',
  'mtls_wrong_host',
  'mtls_challenge_invalid',
  'mtls_challenge_expired',
  'mtls_certificate_missing',
  'mtls_certificate_not_verified',
  'mtls_certificate_foreign',
  'mtls_certificate_not_yet_valid',
  'mtls_certificate_expired',
  'endorsement_certificate_malformed',
  'endorsement_certificate_untrusted',
  'endorsement_certificate_expired',
  'endorsement_key_mismatch',
  'endorsement_key_not_allowed',
  'endorsement_key_of_other_device',
  'attestation_key_not_allowed',
  'attestation_malformed',
  'attestation_invalid',
  'attestation_expired',
  'attestation_wrong_device',
  'attestation_secret_wrong',
  'attestation_signature_invalid',
  'attestation_wrong_request',
  'attested_key_mismatch',
  'attested_key_not_protected',
] as const;
export type ProblemCode = (typeof problemCodes)[number];

/** What the `countersign` command can fail with, beyond what the broker answers. */
export const commandCodes = [
  'usage_invalid',
  'broker_url_invalid',
  'broker_answer_malformed',
  'broker_root_mismatch',
  'already_enrolled_elsewhere',
  'hardware_id_unavailable',
  'state_unwritable',
  'keystore_module_missing',
  'keystore_module_invalid',
  'keystore_module_failed',
  'keystore_token_missing',
  'keystore_token_ambiguous',
  'keystore_token_unsuitable',
  'keystore_pin_unreadable',
  'keystore_pin_wrong',
  'keystore_pin_locked',
  'keystore_key_ambiguous',
  'keystore_tpm_missing',
  'keystore_tpm_denied',
  'keystore_tpm_locked',
  'keystore_tpm_failed',
  'keystore_tpm_unsuitable',
  'keystore_tpm_endorsement_missing',
] as const;
export type CommandCode = (typeof commandCodes)[number];

export type ReasonCode = DecisionReason | ProblemCode | CommandCode;

/** The exact refusal of the sixth unbound certificate; administrators search their logs for it. */
export const enrollmentLimitText =
  'Maximum enrollment limit of 5 certificates for a device is reached';
