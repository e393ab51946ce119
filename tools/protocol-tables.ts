// `node tools/protocol-tables.ts`: writes the tables of codes in packages/protocol/PROTOCOL.md anew, from the code.
// `test/protocol-document.test.ts` fails while they are out of date.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type AllowCode,
  type CommandCode,
  type PolicyDenialCode,
  type ProblemCode,
  problemCodes,
  type UnavailableCode,
  unavailableCodes,
  type VerificationCode,
} from '@countersign/protocol';
import {
  allowCodes,
  commandCodes,
  policyDenialCodes,
  verificationCodes,
} from '@countersign/protocol/reason-codes';
import { reasonTexts } from '@countersign/protocol/reason-texts';
import { ownTexts } from '../packages/sso-sdk/src/server/countersign-error.ts';
import { problemResponse } from '../worker/src/http/problem.ts';

export const protocolDocument = join(
  dirname(dirname(fileURLToPath(import.meta.url))),
  'packages/protocol/PROTOCOL.md',
);

/** The programs that answer with codes. */
export type Program = 'page' | 'extension' | 'host' | 'broker' | 'front';

/** A code does not compile until it says here who answers it. */
export const unavailableFrom: Readonly<Record<UnavailableCode, readonly Program[]>> = {
  extension_not_installed: ['page'],
  extension_timeout: ['page'],
  extension_error: ['page', 'extension'],
  extension_origin_not_allowed: ['extension'],
  extension_frame_not_allowed: ['extension'],
  host_not_installed: ['extension'],
  host_blocked_by_policy: ['extension'],
  host_forbidden: ['extension'],
  host_exited: ['extension'],
  host_timeout: ['extension'],
  host_answer_malformed: ['extension'],
  host_internal_error: ['host'],
  host_configuration_invalid: ['host'],
  host_configuration_untrusted: ['host'],
  host_version_unsupported: ['extension', 'host'],
  message_malformed: ['host'],
  message_too_large: ['host'],
  origin_not_allowed: ['host'],
  not_enrolled: ['host'],
  key_unavailable: ['host'],
  challenge_malformed: ['extension', 'host'],
  challenge_signature_invalid: ['host'],
  challenge_key_unknown: ['host'],
  challenge_wrong_audience: ['host'],
  clock_skew: ['host'],
  key_set_invalid: ['host'],
  broker_unreachable: ['host'],
};

/** Problems that the front of a self-hosted broker answers too, before the broker sees the request. */
export const alsoFromFront: readonly ProblemCode[] = [
  'field_invalid',
  'body_too_large',
  'storage_unavailable',
];

/** Where a problem can come up. The addresses of one line share a reader, `any body` for instance. */
const problemAt: Readonly<Record<ProblemCode, string>> = {
  json_malformed: 'any request with a body',
  field_invalid: 'any request with a body; admin addresses',
  body_too_large: 'any request with a body',
  content_type_unsupported: 'any request with a body',
  not_found: 'any',
  method_not_allowed: 'any',
  client_authentication_failed: 'evaluation, completions, searches, fail-open',
  admin_authentication_failed: 'admin',
  client_unknown: 'challenges, mTLS evidence',
  origin_not_registered: 'challenges, mTLS evidence',
  rate_limited: 'evaluation',
  hardware_id_invalid: 'enrollments, enrollment tokens',
  hardware_id_placeholder: 'enrollments, enrollment tokens',
  hardware_id_duplicate: 'enrollments',
  enrollment_not_allowed: 'enrollments',
  enrollment_token_invalid: 'enrollments',
  enrollment_token_expired: 'enrollments',
  enrollment_token_spent: 'enrollments',
  enrollment_proof_invalid: 'enrollments',
  enrollment_secret_unknown: 'enrollments',
  enrollment_clock_skew: 'enrollments, renewals',
  enrollment_approval_needed: 'enrollments',
  enrollment_throttled: 'enrollments',
  enrollment_user_unknown: 'enrollments',
  enrollment_user_inactive: 'enrollments, renewals',
  read_only: 'enrollments, renewals, SCEP',
  renewal_request_malformed: 'renewals',
  renewal_signature_invalid: 'renewals',
  csr_malformed: 'enrollments',
  csr_signature_invalid: 'enrollments',
  csr_key_not_allowed: 'enrollments',
  key_of_other_device: 'enrollments',
  key_blocked: 'enrollments',
  enrollment_limit_reached: 'enrollments',
  device_blocked: 'enrollments, renewals',
  integration_deleted: 'enrollments, renewals',
  enrollment_approval_not_found: 'admin approvals',
  renewal_certificate_unknown: 'renewals',
  renewal_certificate_revoked: 'renewals',
  renewal_certificate_suspended: 'renewals',
  renewal_certificate_expired: 'renewals',
  renewal_certificate_superseded: 'renewals',
  renewal_key_in_use: 'renewals',
  renewal_limit_reached: 'renewals',
  certificate_not_found: 'admin revocation',
  device_not_found: 'admin device',
  application_not_found: 'admin client',
  user_not_found: 'admin user',
  job_not_found: 'admin job',
  snapshot_unavailable: 'any that needs clients or policies',
  storage_unavailable: 'any that reads or writes an object',
  deployment_mismatch: 'any that needs clients or policies; health',
  configuration_invalid: 'any',
  internal_error: 'any',
  mtls_not_enabled: 'mTLS evidence',
  mtls_wrong_host: 'mTLS evidence',
  mtls_challenge_invalid: 'mTLS evidence',
  mtls_challenge_expired: 'mTLS evidence',
  mtls_certificate_missing: 'mTLS evidence',
  mtls_certificate_not_verified: 'mTLS evidence',
  mtls_certificate_foreign: 'mTLS evidence',
  mtls_certificate_not_yet_valid: 'mTLS evidence',
  mtls_certificate_expired: 'mTLS evidence',
  import_incomplete: 'any that needs clients or policies; health',
  import_refused: 'admin import',
  endorsement_certificate_malformed: 'attestations',
  endorsement_certificate_untrusted: 'attestations',
  endorsement_certificate_expired: 'attestations',
  endorsement_key_mismatch: 'attestations',
  endorsement_key_not_allowed: 'attestations, enrollments',
  endorsement_key_of_other_device: 'enrollments',
  attestation_key_not_allowed: 'attestations',
  attestation_malformed: 'enrollments',
  attestation_invalid: 'enrollments',
  attestation_expired: 'enrollments',
  attestation_wrong_device: 'enrollments',
  attestation_secret_wrong: 'enrollments',
  attestation_signature_invalid: 'enrollments',
  attestation_wrong_request: 'enrollments',
  attested_key_mismatch: 'enrollments',
  attested_key_not_protected: 'enrollments',
  renewal_needs_attestation: 'renewals',
  admin_forbidden: 'admin',
  admin_not_found: 'admin administrators',
  integration_not_found: 'admin integrations; enrollments, SCEP',
  integration_in_use: 'admin integrations',
  device_trust_in_use: 'admin device trust',
  application_has_rules: 'admin applications',
  policy_not_found: 'admin policies, access',
  policy_version_conflict: 'admin policies, access',
  zone_not_found: 'admin zones',
  zone_in_use: 'admin zones',
  zone_limit_reached: 'admin zones',
  decision_not_found: 'admin receipts',
  fail_open_off: 'fail-open statements',
  group_not_found: 'admin groups, integrations',
  group_in_use: 'admin groups',
  group_owned_by_directory: 'admin groups',
  user_inactive_in_directory: 'admin users',
  directory_subject_fixed: 'admin directory',
  directory_quota_reached: 'admin directory, SCIM',
  scim_syntax_invalid: 'SCIM',
  scim_value_invalid: 'SCIM',
  scim_path_invalid: 'SCIM',
  scim_filter_invalid: 'SCIM',
  scim_conflict: 'SCIM',
  scim_resource_not_found: 'SCIM',
  scim_version_mismatch: 'SCIM',
  scim_not_supported: 'SCIM',
  issuer_not_found: 'admin issuers',
  issuer_in_use: 'admin issuers',
  idempotency_key_reused: 'admin requests with an Idempotency-Key',
  idempotency_in_progress: 'admin requests with an Idempotency-Key',
  idempotency_outcome_unknown: 'admin requests with an Idempotency-Key',
  log_cursor_unknown: '`GET /v1/admin/log`',
  log_stream_not_found: 'requests about a log stream',
  log_stream_limit_reached: '`POST /v1/admin/log-streams`',
  scep_not_enabled: 'SCEP',
  scep_operation_unknown: 'SCEP',
  scep_message_malformed: 'SCEP',
  scep_message_type_not_allowed: 'SCEP, as a failure in its own form',
  scep_algorithm_not_allowed: 'SCEP, as a failure in its own form',
  scep_signature_invalid: 'SCEP, as a failure in its own form',
  scep_signer_mismatch: 'SCEP, as a failure in its own form',
  scep_request_invalid: 'SCEP, as a failure in its own form',
  scep_challenge_invalid: 'SCEP, as a failure in its own form',
  scep_challenge_spent: 'SCEP, as a failure in its own form',
  scep_challenge_expired: 'SCEP, as a failure in its own form',
  scep_challenge_wrong_device: 'SCEP, as a failure in its own form',
  scep_device_unnamed: 'SCEP, as a failure in its own form',
  scep_transaction_reused: 'SCEP, as a failure in its own form',
  device_not_managed: 'enrollments, renewals, SCEP',
  device_not_in_inventory: 'enrollments, renewals, SCEP',
  device_check_in_stale: 'enrollments, renewals, SCEP',
  integration_unavailable: 'enrollments, renewals, SCEP',
  integration_busy: 'enrollments, renewals, SCEP',
  integration_credentials_invalid: 'enrollments, renewals, SCEP',
  integration_answer_malformed: 'enrollments, renewals, SCEP',
  webhook_authentication_failed: 'webhooks of device managements',
  subject_search_not_allowed: 'subject search',
};

type Text = { readonly administrator: string; readonly person: string };
const textOf = (
  code:
    | UnavailableCode
    | VerificationCode
    | PolicyDenialCode
    | AllowCode
    | ProblemCode
    | CommandCode,
): Text => reasonTexts[code];

const cell = (text: string) => text.replaceAll('|', '\\|');

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`;
  return [line(header), `|${header.map(() => '---|').join('')}`, ...rows.map(line)].join('\n');
}

const texts = ['for administrators', 'for the person'];
const textCells = (text: Text) => [text.administrator, text.person];

/** Every table of codes, by the name in its marker. */
export function codeTables(): Readonly<Record<string, string>> {
  const decided = (codes: readonly (VerificationCode | PolicyDenialCode | AllowCode)[]) =>
    table(
      ['code', ...texts],
      codes.map((code) => [`\`${code}\``, ...textCells(textOf(code))]),
    );
  return {
    unavailable: table(
      ['code', 'answered by', ...texts],
      unavailableCodes.map((code) => [
        `\`${code}\``,
        unavailableFrom[code].join(', '),
        ...textCells(textOf(code)),
      ]),
    ),
    verification: decided(verificationCodes),
    policy: decided(policyDenialCodes),
    allow: decided(allowCodes),
    problem: table(
      ['code', 'HTTP', 'answered by', 'at', ...texts],
      problemCodes.map((code) => [
        `\`${code}\``,
        String(problemResponse({ code }).status),
        alsoFromFront.includes(code) ? 'broker, front' : 'broker',
        problemAt[code],
        ...textCells(textOf(code)),
      ]),
    ),
    command: table(
      ['code', ...texts],
      commandCodes.map((code) => [`\`${code}\``, ...textCells(textOf(code))]),
    ),
    sdk: table(
      ['code', 'for administrators'],
      Object.entries(ownTexts).map(([code, text]) => [`\`${code}\``, text]),
    ),
  };
}

/**
 * The document with every table between `<!-- codes: NAME -->` and `<!-- end -->` replaced by the one from the code.
 * Throws when a table has no place, or a place no table.
 */
export function withCodeTables(markdown: string): string {
  const waiting = new Map(Object.entries(codeTables()));
  const written = markdown.replace(
    /(<!-- codes: (\w+) -->\n)[\s\S]*?(\n<!-- end -->)/g,
    (_, start: string, name: string, end: string) => {
      const text = waiting.get(name);
      if (text === undefined) throw new Error(`there is no table of codes "${name}"`);
      waiting.delete(name);
      return `${start}${text}${end}`;
    },
  );
  if (waiting.size === 0) return written;
  throw new Error(`the document has no place for: ${[...waiting.keys()].join(', ')}`);
}

if (import.meta.main) {
  writeFileSync(protocolDocument, withCodeTables(readFileSync(protocolDocument, 'utf8')));
}
