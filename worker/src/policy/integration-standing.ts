import { maxPostureReportAgeSeconds } from '@countersign/protocol/limits';

/** Whether what an integration issued counts for a user now, apart from the certificate's own standing. */
export type IntegrationStanding = {
  readonly id: string;
  readonly standing: 'active' | 'disabled' | 'not_for_user' | 'device_trust_disabled';
  /** Do certificates that were enrolled with the organization's secret count? */
  readonly trustsSharedSecret: boolean;
  /** For how long it counts what its management has reported of a device's posture. */
  readonly maxReportAgeMs: number;
};

/** What is asked of an integration's record. */
type Integration = {
  readonly state:
    | { readonly mode: 'disabled' }
    | { readonly mode: 'all_users' }
    | { readonly mode: 'test_groups'; readonly groups: readonly string[] };
  readonly trust_shared_secret: boolean;
  readonly max_check_in_age_seconds: number;
};

type Integrations = {
  readonly integrations: ReadonlyMap<string, Integration>;
  /** Members by group. */
  readonly groups: ReadonlyMap<string, ReadonlySet<string>>;
  /** Of the organization. While it is not, nothing that was issued counts. */
  readonly deviceTrustEnabled: boolean;
};

/** Certificates of no integration, minted by an administrator's own token, are always of an active one. */
const direct: IntegrationStanding = {
  id: '',
  standing: 'active',
  trustsSharedSecret: false,
  maxReportAgeMs: 0,
};

function standingFor(
  { state }: Integration,
  groups: Integrations['groups'],
  userId: string,
): IntegrationStanding['standing'] {
  switch (state.mode) {
    case 'disabled':
      return 'disabled';
    case 'all_users':
      return 'active';
    case 'test_groups':
      return state.groups.some((group) => groups.get(group)?.has(userId) === true)
        ? 'active'
        : 'not_for_user';
  }
}

/** A management that has not heard of a device for longer is not believed that it manages it, either. */
export const maxReportAgeMs = ({
  max_check_in_age_seconds,
}: Pick<Integration, 'max_check_in_age_seconds'>): number =>
  Math.min(max_check_in_age_seconds, maxPostureReportAgeSeconds) * 1000;

/** Of no integration (`id` empty) and of every one that there is, for one user. What is not in the list was deleted. */
export function integrationStandings(
  { integrations, groups, deviceTrustEnabled }: Integrations,
  userId: string,
): IntegrationStanding[] {
  const standings = [
    direct,
    ...[...integrations].map(([id, integration]) => ({
      id,
      standing: standingFor(integration, groups, userId),
      trustsSharedSecret: integration.trust_shared_secret,
      maxReportAgeMs: maxReportAgeMs(integration),
    })),
  ];
  return deviceTrustEnabled
    ? standings
    : standings.map((standing) => ({ ...standing, standing: 'device_trust_disabled' }));
}
