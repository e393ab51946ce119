import * as z from 'zod/mini';

/**
 * Where a private key lives, as far as the host can tell: `pkcs11` is a token behind a PKCS#11 module, of which it cannot
 * tell whether it is hardware. `tpm` is a TPM 2.0; that it is a real one, only an attestation proves.
 */
export const keyProtection = z.enum(['file', 'os_keystore', 'hardware', 'pkcs11', 'tpm']);
export type KeyProtection = z.infer<typeof keyProtection>;
