import * as z from 'zod/mini';

/** What a device's MDM said when it was last asked. */
export const managementFacts = z.object({
  integration_id: z.string(),
  checked_at_ms: z.int(),
  /** The MDM's own id of the device. */
  mdm_id: z.optional(z.string()),
  udid: z.optional(z.string()),
});
export type ManagementFacts = z.infer<typeof managementFacts>;

export function readManagement(column: string | null): ManagementFacts | undefined {
  return column === null ? undefined : managementFacts.parse(JSON.parse(column));
}
