import { EdgeServerError } from '../edge-server-error.ts';

/** What was asked for cannot be done with the issuers as they are, or with what was given. Nothing has changed. */
export function issuerRefused(message: string, options?: ErrorOptions): EdgeServerError {
  return new EdgeServerError('issuer_refused', message, options);
}
