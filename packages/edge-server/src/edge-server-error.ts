/** Why the server did not start. A closed union, so that a program can tell the cases apart. */
export type EdgeServerFailure =
  | 'setting_invalid'
  | 'port_in_use'
  | 'address_unavailable'
  | 'data_directory_incomplete'
  | 'data_directory_permissions'
  | 'data_directory_unusable'
  | 'data_directory_in_use'
  | 'deployment_mismatch'
  | 'worker_bundle_missing'
  | 'tls_certificate_invalid'
  | 'workerd_unavailable'
  | 'worker_not_healthy'
  | 'state_older_than_mark'
  | 'high_water_mark_unusable'
  | 'state_file_invalid'
  | 'broker_request_failed'
  | 'issuer_refused'
  | 'system_error';

/** A start that failed. The message says what is wrong and what to do; it holds no secret. */
export class EdgeServerError extends Error {
  readonly failure: EdgeServerFailure;

  constructor(failure: EdgeServerFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'EdgeServerError';
    this.failure = failure;
  }
}

/** The `code` of an error that came from the operating system. */
export function systemErrorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined;
}

/** The text of anything that was thrown. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
