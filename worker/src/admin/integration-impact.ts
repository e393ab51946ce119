import type { IntegrationImpact } from '@countersign/protocol/admin-integrations';
import type { Application } from '../directory/organization-snapshot.ts';
import { lossWithoutTrust } from '../policy/relies-on-trust.ts';

/** Certificates that are alike in these, as the shards count them. */
export type CountedCertificates = {
  readonly issuer_id: string;
  readonly integration_id: string;
  readonly status: string;
  readonly count: number;
};

const liveStatuses: readonly string[] = ['issued', 'bound', 'superseded'];

/** How many of them count by their own standing. */
export function sumLive(counts: readonly CountedCertificates[]): number {
  return counts
    .filter(({ status }) => liveStatuses.includes(status))
    .reduce((sum, { count }) => sum + count, 0);
}

const quoted = (names: readonly string[]) => names.map((name) => `"${name}"`).join(', ');

/** The last steps, which no one who signs in notices once the first one was taken. */
const lastSteps = {
  integration: [
    'End the enrollment in the device management, so that devices ask for no more certificates.',
    'Then disable the integration, and delete it when nobody needs its certificates.',
  ],
  deviceTrust: [
    'Then switch device trust off. Certificates stay as they are, and count again as soon as it is on.',
  ],
} as const;

/** What the shards say: certificates that are alike, and how many people sign in with those in question. */
export type ImpactFacts = {
  readonly counts: readonly CountedCertificates[];
  readonly users: number;
};

/** What relies on an integration's certificates, and how it is switched off without anybody being locked out. */
export function integrationImpact(
  integrationId: string,
  applications: Iterable<Application>,
  { counts, users }: ImpactFacts,
): IntegrationImpact {
  const own = counts.filter(({ integration_id }) => integration_id === integrationId);
  return impactOf({ counts: own, users }, applications, lastSteps.integration);
}

/** What relies on trusted devices at all. */
export const deviceTrustImpact = (
  applications: Iterable<Application>,
  facts: ImpactFacts,
): IntegrationImpact => impactOf(facts, applications, lastSteps.deviceTrust);

function impactOf(
  { counts, users }: ImpactFacts,
  applications: Iterable<Application>,
  steps: readonly string[],
): IntegrationImpact {
  const relying = [...applications].flatMap(({ application_id, name, policy }) => {
    const other = lossWithoutTrust(policy);
    const { enforcement } = policy;
    return other === 'deny' || other === 'step_up'
      ? [{ application_id, name, enforcement, other_devices: other }]
      : [];
  });
  return {
    applications: relying,
    live_certificates: sumLive(counts),
    bound_certificates: sumLive(counts.filter(({ status }) => status === 'bound')),
    affected_users: users,
    steps:
      relying.length === 0
        ? []
        : [
            `Have these applications ask for nothing that only a trusted device has: ${quoted(relying.map(({ application_id }) => application_id))}. Set "enforcement" to "monitor".`,
            ...steps,
          ],
  };
}

/** Somebody who signs in now could not any more, or not as easily. */
export const isInUse = ({ applications, live_certificates }: IntegrationImpact): boolean =>
  applications.length > 0 && live_certificates > 0;
