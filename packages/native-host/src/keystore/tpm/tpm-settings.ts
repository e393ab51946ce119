/** The TPM that the configuration names. */
export type TpmSettings = {
  /** Absolute path of a device node that takes commands as they are, such as `/dev/tpmrm0`. */
  readonly device: string;
  /** Port of a software TPM on this machine, in place of the device: for development alone. */
  readonly simulatorPort?: number;
  /** Integration that devices with a TPM enroll in by an attestation; left out, they enroll by a token. */
  readonly attestTo?: string;
};

/** Of Linux: with the kernel's resource manager, which keeps programs from taking each other's place in the TPM. */
export const defaultTpmDevice = '/dev/tpmrm0';
