/**
 * Every reason for which this package refuses its input. A closed union: whoever maps it to a wire
 * code can do so exhaustively.
 */
export type X509FailureReason =
  // the encoding
  | 'too_large'
  | 'malformed_der'
  | 'trailing_bytes'
  | 'nested_too_deeply'
  | 'malformed_structure'
  | 'version_not_allowed'
  | 'malformed_pem'
  | 'pem_label_not_allowed'
  // the key
  | 'key_algorithm_not_allowed'
  | 'curve_not_allowed'
  | 'point_format_not_allowed'
  | 'rsa_key_too_small'
  | 'rsa_key_too_large'
  | 'rsa_exponent_not_allowed'
  | 'weak_key'
  | 'public_key_invalid'
  // the signature
  | 'signature_algorithm_not_allowed'
  | 'signature_algorithm_mismatch'
  | 'malformed_signature'
  | 'signature_invalid'
  // names, attributes, certificate fields
  | 'name_not_allowed'
  | 'duplicate_attribute'
  | 'serial_number_not_allowed'
  | 'validity_not_allowed'
  | 'malformed_extension'
  | 'duplicate_extension'
  | 'unknown_critical_extension'
  | 'device_uri_missing'
  | 'device_uri_not_allowed'
  // one certificate under another
  | 'issuer_not_allowed'
  | 'issuer_mismatch'
  | 'purpose_not_allowed'
  | 'not_yet_valid'
  | 'expired'
  // a question about revocation
  | 'hash_algorithm_not_allowed'
  | 'nonce_not_allowed'
  | 'too_many_requests'
  // an encrypted message
  | 'encryption_algorithm_not_allowed'
  | 'recipient_unknown'
  // what a caller asked to be built
  | 'field_not_allowed';

/** `detail` names the field and the rule; it never repeats bytes of the input, so it is safe to log. */
export interface X509Failure {
  readonly ok: false;
  readonly reason: X509FailureReason;
  readonly detail: string;
}

export interface Success<T> {
  readonly ok: true;
  readonly value: T;
}

export type X509Result<T> = Success<T> | X509Failure;

export function succeed<T>(value: T): Success<T> {
  return { ok: true, value };
}

export function fail(reason: X509FailureReason, detail: string): X509Failure {
  return { ok: false, reason, detail };
}

/** Thrown inside the package only; `attempt` turns it into a failure at every exported function. */
export class X509Error extends Error {
  readonly reason: X509FailureReason;

  constructor(reason: X509FailureReason, detail: string) {
    super(detail);
    this.name = 'X509Error';
    this.reason = reason;
  }
}

/** Runs `work`; a refusal of the input becomes a failure, anything else is a bug and stays thrown. */
export function attempt<T>(work: () => T): X509Result<T> {
  try {
    return succeed(work());
  } catch (error) {
    if (error instanceof X509Error) return fail(error.reason, error.message);
    throw error;
  }
}

/** The value, or the failure thrown on: for use inside `attempt` only. */
export function expectValue<T>(result: X509Result<T>): T {
  if (result.ok) return result.value;
  throw new X509Error(result.reason, result.detail);
}
