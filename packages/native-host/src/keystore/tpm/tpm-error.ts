import type { KeyStoreReason } from '../keystore.ts';

/** Ends what is done with the TPM, from wherever it is; `useTpm` makes a result of it. */
export class TpmError extends Error {
  readonly reason: KeyStoreReason;
  /** What the TPM answered, where it did. */
  readonly responseCode: number | undefined;

  constructor(reason: KeyStoreReason, detail: string, responseCode?: number) {
    super(detail);
    this.reason = reason;
    this.responseCode = responseCode;
  }
}

/** TPM_RC (TPM 2.0 Library, part 2 section 6.6), without what says which handle or parameter is meant. */
export const responseCodes = {
  badTag: 0x01e,
  asymmetric: 0x081,
  attributes: 0x082,
  hash: 0x083,
  value: 0x084,
  type: 0x08a,
  handle: 0x08b,
  authFail: 0x08e,
  scheme: 0x092,
  size: 0x095,
  symmetric: 0x096,
  insufficient: 0x09a,
  policyFail: 0x09d,
  integrity: 0x09f,
  badAuth: 0x0a2,
  curve: 0x0a6,
  commandCode: 0x143,
  authUnavailable: 0x12f,
  yielded: 0x908,
  testing: 0x90a,
  lockout: 0x921,
  retry: 0x922,
} as const;

const isFormatOne = 0x080;
const formatOneError = 0x0bf;

/** The code without the number of the handle, session or parameter. */
export function plainResponseCode(responseCode: number): number {
  return (responseCode & isFormatOne) === 0 ? responseCode : responseCode & formatOneError;
}

/** The TPM is busy with itself: the same command may be sent again. */
export const passingResponseCodes: readonly number[] = [
  responseCodes.yielded,
  responseCodes.testing,
  responseCodes.retry,
];

const reasons: Readonly<Record<number, KeyStoreReason>> = {
  [responseCodes.lockout]: 'keystore_tpm_locked',
  [responseCodes.authFail]: 'keystore_tpm_denied',
  [responseCodes.badAuth]: 'keystore_tpm_denied',
  [responseCodes.policyFail]: 'keystore_tpm_denied',
  [responseCodes.authUnavailable]: 'keystore_tpm_denied',
  // A TPM 1.2 does not know what it is asked for.
  [responseCodes.badTag]: 'keystore_tpm_unsuitable',
  [responseCodes.commandCode]: 'keystore_tpm_unsuitable',
  [responseCodes.asymmetric]: 'keystore_tpm_unsuitable',
  [responseCodes.hash]: 'keystore_tpm_unsuitable',
  [responseCodes.scheme]: 'keystore_tpm_unsuitable',
  [responseCodes.symmetric]: 'keystore_tpm_unsuitable',
  [responseCodes.curve]: 'keystore_tpm_unsuitable',
};

/** What the TPM's refusal of a command means. */
export function refusedCommand(command: string, responseCode: number): TpmError {
  const plain = plainResponseCode(responseCode);
  const code = `0x${responseCode.toString(16).padStart(3, '0')}`;
  const detail = `the TPM refused TPM2_${command} (TPM_RC ${code})`;
  return new TpmError(reasons[plain] ?? 'keystore_tpm_failed', detail, plain);
}
