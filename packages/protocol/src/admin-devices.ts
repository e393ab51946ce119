import * as z from 'zod/mini';
import { deviceAnswer } from './admin.ts';
import { revocationReasons } from './certificate-life.ts';

/** The admin API's part on devices and the life of their certificates. */

/**
 * `GET /v1/admin/devices?after=…&limit={1…200}`: all devices, in an order that stays the same. `next` of a page is
 * `after` of the one that follows.
 */
export const deviceList = z.object({
  devices: z.array(deviceAnswer),
  next: z.optional(z.string()),
});
export type DeviceList = z.infer<typeof deviceList>;

/** `GET /v1/admin/devices?serial_number=…` or `?hardware_uuid=…`: the device that it names, in whatever spelling. */
export const deviceSearchFields = ['serial_number', 'hardware_uuid'] as const;

/** `POST /v1/admin/devices/{device id}/revoke`: every certificate of the device. */
export const deviceRevocationInput = z.strictObject({
  reason: z.enum(revocationReasons),
  /** Says why the device gets no certificate any more, until it is unblocked. Left out, it may enroll anew. */
  block: z.optional(z.enum(['lost', 'stolen', 'retired', 'compromised'])),
});
export type DeviceRevocationInput = z.infer<typeof deviceRevocationInput>;

/** Answer to every change of certificates' standing: every decision that starts after it sees the change. */
export const standingAnswer = z.object({
  status: z.literal('complete'),
  /** How many certificates changed; 0 when all was so already. */
  changed: z.int(),
});
export type StandingAnswer = z.infer<typeof standingAnswer>;

/** `GET /v1/admin/enrollment-approvals`: enrollments with the shared secret that an administrator has to agree to. */
export const approvalList = z.object({
  approvals: z.array(
    z.object({
      device_id: z.string(),
      /** SHA-256 of the key that is to be certified, base64url. */
      spki_sha256: z.string(),
      requested_at: z.string(),
    }),
  ),
  /** True when there are more than an answer holds. */
  truncated: z.boolean(),
});
export type ApprovalList = z.infer<typeof approvalList>;

/** `POST /v1/admin/devices/{device id}/enrollment-approvals/{SHA-256 of the key, base64url}`. */
export const approvalAnswer = z.object({ status: z.literal('approved') });
