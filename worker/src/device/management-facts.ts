import { type PostureReport, postureReport } from '@countersign/protocol/posture';
import * as z from 'zod/mini';
import type { IntegrationStanding } from '../policy/integration-standing.ts';

/** What a device's MDM said when it was last asked. */
export const managementFacts = z.object({
  integration_id: z.string(),
  checked_at_ms: z.int(),
  /** The MDM's own id of the device. */
  mdm_id: z.optional(z.string()),
  udid: z.optional(z.string()),
  posture: z.optional(postureReport),
});
export type ManagementFacts = z.infer<typeof managementFacts>;

export function readManagement(column: string | null): ManagementFacts | undefined {
  return column === null ? undefined : managementFacts.parse(JSON.parse(column));
}

/**
 * The report that a policy may be asked about: of an integration that there is, and not older than that one's reports
 * count. A time far ahead of this clock says nothing about an age.
 */
export function countingReport(
  facts: ManagementFacts | undefined,
  integrations: readonly IntegrationStanding[],
  nowMs: number,
): PostureReport | undefined {
  if (facts?.posture === undefined) return undefined;
  const { posture, integration_id } = facts;
  const integration = integrations.find(({ id }) => id === integration_id);
  if (integration === undefined || integration.standing === 'disabled') return undefined;
  return Math.abs(nowMs - posture.reported_at_ms) <= integration.maxReportAgeMs
    ? posture
    : undefined;
}
