import * as z from 'zod/mini';
import { enrollingUser, hardwareId } from './enrollment.ts';

/** What device managements send to the broker, and administrators to try them out. */

export const maxManagementEventBytes = 256 * 1024;

/** What an event of Jamf Pro may say of a device; `uuid` is how a SCEP challenge spells `udid`. */
const jamfDevice = z.object({
  serialNumber: z.optional(z.nullable(z.string())),
  udid: z.optional(z.nullable(z.string())),
  uuid: z.optional(z.nullable(z.string())),
});

/** `POST /v1/integrations/{id}/jamf-webhook`. Events and members that are not known here are left alone. */
export const jamfWebhook = z.object({
  webhook: z.object({ webhookEvent: z.string().check(z.maxLength(128)) }),
  event: z.optional(
    z.nullable(
      z.extend(jamfDevice, {
        computer: z.optional(z.nullable(jamfDevice)),
        device: z.optional(z.nullable(jamfDevice)),
      }),
    ),
  ),
});
export type JamfWebhook = z.infer<typeof jamfWebhook>;

/** `POST /v1/integrations/{id}/webhook`, for every kind of management. */
export const managementWebhook = z.discriminatedUnion('request', [
  /** A token for a device that is about to enroll; answered as `enrollmentTokenAnswer`. */
  z.strictObject({
    request: z.literal('enrollment_token'),
    hardware_id: hardwareId,
    ttl_seconds: z._default(z.int().check(z.minimum(60), z.maximum(7 * 86_400)), 3600),
    user: z.optional(enrollingUser),
  }),
  /** Something happened to a device: the broker asks the management about it, and believes the answer alone. */
  z.strictObject({ request: z.literal('check_device'), hardware_id: hardwareId }),
]);
export type ManagementWebhook = z.input<typeof managementWebhook>;

/** Answer to an event: how many watched devices it named. */
export const managementWebhookAnswer = z.object({ devices: z.int() });

/** `POST /v1/admin/integrations/{id}/test-credentials`: 200 either way. */
export const testedCredentials = z.object({
  success: z.boolean(),
  /** Why not. */
  code: z.optional(z.string()),
  /** What was seen, or the exact cause. */
  detail: z.string(),
});

/** `PUT /v1/admin/integrations/{id}/inventory`, whose body is `text/csv`; the front takes no more for any address. */
export const maxInventoryBytes = 1024 * 1024;
export const inventoryAnswer = z.object({ devices: z.int(), devices_before: z.int() });
