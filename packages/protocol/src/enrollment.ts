import * as z from 'zod/mini';
import { maxCsrBytes } from './limits.ts';
import { base64urlBetween, base64urlOf } from './schemas.ts';

/** Facts that name a piece of hardware. At least one; the broker normalizes them and refuses placeholders. */
export const hardwareId = z
  .strictObject({
    serial_number: z.optional(z.string().check(z.minLength(1), z.maxLength(128))),
    hardware_uuid: z.optional(z.string().check(z.minLength(1), z.maxLength(128))),
  })
  .check(
    z.refine((value) => value.serial_number !== undefined || value.hardware_uuid !== undefined, {
      error: 'needs serial_number or hardware_uuid',
    }),
  );
export type HardwareId = z.infer<typeof hardwareId>;

/** `POST /v1/enrollments`, sent by the host. */
export const enrollmentRequest = z.object({
  enrollment_token: base64urlOf(32),
  hardware_id: hardwareId,
  /** PKCS#10 (RFC 2986), DER, base64url. Nothing but the public key is taken from it. */
  csr: base64urlBetween(1, maxCsrBytes),
});
export type EnrollmentRequest = z.infer<typeof enrollmentRequest>;

/** The certificate and everything the host has to keep. DER values are base64url. */
export const enrollmentAnswer = z.object({
  certificate: z.string(),
  issuer_certificate: z.string(),
  root_certificate: z.string(),
  device_id: z.string(),
  organization_id: z.string(),
  /** `iss` of every challenge. */
  broker_url: z.url(),
  /** JWS, see `key-set.ts`. */
  key_set: z.string(),
});
export type EnrollmentAnswer = z.infer<typeof enrollmentAnswer>;
