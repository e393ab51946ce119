import * as z from 'zod/mini';
import { keyProtection } from './key-protection.ts';
import { postureSwitches } from './posture.ts';
import { base64urlOf, numericDate, secureWebOrigin } from './schemas.ts';

export const deviceResponseTyp = 'device-response+jwt';

/** JWE header values (RFC 7516, RFC 7518 section 4.6). No `zip`: compression would leak plaintext through length. */
export const responseKeyManagement = 'ECDH-ES';
export const responseContentEncryption = 'A256GCM';

/** Facts the host reports about its device. Recorded; judged by policy only where an administrator asks for it. */
export const posture = z.object({
  platform: z.enum(['linux', 'macos', 'windows', 'other']),
  os_version: z.string().check(z.maxLength(128)),
  ...postureSwitches,
  /** When these switches were looked at, by the device's clock; recorded. Older hosts leave all of them out. */
  measured_at: z.optional(numericDate),
});
export type Posture = z.infer<typeof posture>;

/**
 * Claims of the device response: JWS (`typ` `device-response+jwt`, `x5c` with the leaf only, `alg` by its key), then
 * JWE to the broker. `iat` is the device's clock, recorded and never judged.
 */
export const deviceResponseClaims = z.object({
  /** `iss` of the challenge. */
  aud: z.string().check(z.maxLength(255)),
  challenge_id: base64urlOf(16),
  origin: secureWebOrigin,
  iat: numericDate,
  host_version: z.string().check(z.maxLength(32)),
  /** Where the private key lives. */
  key_protection: keyProtection,
  /** True when the host ran on a configuration not owned by root. */
  development: z.boolean(),
  posture,
});
export type DeviceResponseClaims = z.infer<typeof deviceResponseClaims>;
