import * as z from 'zod/mini';

/**
 * Where a private key lives, as far as the host can tell: `pkcs11` is a token behind a PKCS#11 module, of which it cannot
 * tell whether it is hardware.
 */
export const keyProtection = z.enum(['file', 'os_keystore', 'hardware', 'pkcs11']);
export type KeyProtection = z.infer<typeof keyProtection>;
