import * as z from 'zod/mini';
import { keyProtection } from './key-protection.ts';
import { maxChallengeBytes, maxDeviceResponseBytes } from './limits.ts';
import { unavailableCodes } from './reason-codes.ts';
import { compactJwe, compactJws, secureWebOrigin } from './schemas.ts';

/**
 * Extension and native host: one JSON message in a frame of a 32-bit native-endian length. Purposes, never
 * primitives: `attest` and `status` are all there is.
 */
export const nativeHostName = 'dev.countersign.host';
export const nativeMessageVersion = 1;

const envelope = {
  version: z.literal(nativeMessageVersion),
  id: z.string().check(z.minLength(1), z.maxLength(64)),
};

export const nativeRequest = z.discriminatedUnion('type', [
  z.strictObject({
    ...envelope,
    type: z.literal('attest'),
    challenge: compactJws(maxChallengeBytes),
    /** The page's origin as the browser reported it to the extension. */
    origin: secureWebOrigin,
  }),
  z.strictObject({ ...envelope, type: z.literal('status') }),
]);
export type NativeRequest = z.infer<typeof nativeRequest>;

export const hostStatus = z.object({
  host_version: z.string(),
  enrolled: z.boolean(),
  /** True when the host runs on a configuration not owned by root. */
  development: z.boolean(),
  origins: z.array(secureWebOrigin),
  broker_url: z.optional(z.string()),
  device_id: z.optional(z.string()),
  certificate: z.optional(
    z.object({
      fingerprint_sha256: z.string(),
      not_before: z.string(),
      not_after: z.string(),
      issuer: z.string(),
    }),
  ),
  key_protection: z.optional(keyProtection),
});
export type HostStatus = z.infer<typeof hostStatus>;

/** `id` is empty when the request could not be read far enough to know it. */
export const nativeAnswer = z.discriminatedUnion('type', [
  z.object({
    version: z.literal(nativeMessageVersion),
    id: z.string(),
    type: z.literal('attest'),
    response: compactJwe(maxDeviceResponseBytes),
  }),
  z.object({
    version: z.literal(nativeMessageVersion),
    id: z.string(),
    type: z.literal('status'),
    status: hostStatus,
  }),
  z.object({
    version: z.literal(nativeMessageVersion),
    id: z.string(),
    type: z.literal('error'),
    code: z.enum(unavailableCodes),
    detail: z.string(),
  }),
]);
export type NativeAnswer = z.infer<typeof nativeAnswer>;
