import * as z from 'zod/mini';
import { integrationImpact } from './admin-integrations.ts';

/** Device trust as a whole: whether any certificate makes a device a trusted one. */

/** `PUT /v1/admin/device-trust`. `override`: although people would be locked out. */
export const deviceTrustInput = z.strictObject({
  enabled: z.boolean(),
  override: z._default(z.boolean(), false),
});
export type DeviceTrustInput = z.infer<typeof deviceTrustInput>;

/** `GET /v1/admin/device-trust`. `impact`: what relies on it, or would count as soon as it is on. */
export const deviceTrustAnswer = z.object({
  enabled: z.boolean(),
  impact: integrationImpact,
  organization_version: z.int(),
});

/** Answer to the change. `takes_effect`: what counts from now on. */
export const deviceTrustChangeAnswer = z.object({
  enabled: z.boolean(),
  organization_version: z.int(),
  changed: z.boolean(),
  complete_at: z.string(),
  takes_effect: z.optional(integrationImpact),
});
