/**
 * The part that runs in the sign-in page. Its counterpart on the sign-in server is `@countersign/sso-sdk/server`.
 *
 * @example
 * const { evidence } = await attest({ brokerUrl, clientId, transaction });
 * form.elements.namedItem('evidence').value = evidence;
 * form.submit();
 */
export { type Attestation, type AttestOptions, attest } from './page/attest.ts';
export { AttestError, type AttestErrorCode } from './page/attest-error.ts';
