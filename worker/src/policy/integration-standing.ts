/** Whether what an integration issued counts for a user now, apart from the certificate's own standing. */
export type IntegrationStanding = {
  readonly id: string;
  readonly standing: 'active' | 'disabled' | 'not_for_user' | 'device_trust_disabled';
  /** Do certificates that were enrolled with the organization's secret count? */
  readonly trustsSharedSecret: boolean;
};

/** What is asked of an integration's record. */
type Integration = {
  readonly state:
    | { readonly mode: 'disabled' }
    | { readonly mode: 'all_users' }
    | { readonly mode: 'test_groups'; readonly groups: readonly string[] };
  readonly trust_shared_secret: boolean;
};

type Integrations = {
  readonly integrations: ReadonlyMap<string, Integration>;
  /** Members by group. */
  readonly groups: ReadonlyMap<string, ReadonlySet<string>>;
  /** Of the organization. While it is not, nothing that was issued counts. */
  readonly deviceTrustEnabled: boolean;
};

/** Certificates of no integration, minted by an administrator's own token, are always of an active one. */
const direct: IntegrationStanding = { id: '', standing: 'active', trustsSharedSecret: false };

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
    })),
  ];
  return deviceTrustEnabled
    ? standings
    : standings.map((standing) => ({ ...standing, standing: 'device_trust_disabled' }));
}
