/** Whether what an integration issued counts for a user now, apart from the certificate's own standing. */
export type IntegrationStanding = {
  readonly id: string;
  readonly standing: 'active' | 'disabled' | 'not_for_user';
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

/** Of every integration that there is, for one user. What is not in the list was deleted. */
export function integrationStandings(
  { integrations, groups }: Integrations,
  userId: string,
): IntegrationStanding[] {
  return [...integrations].map(([id, integration]) => ({
    id,
    standing: standingFor(integration, groups, userId),
    trustsSharedSecret: integration.trust_shared_secret,
  }));
}

/** Certificates of no integration, minted by an administrator's own token, are always of an active one. */
const direct: IntegrationStanding = { id: '', standing: 'active', trustsSharedSecret: false };

/** @returns `undefined` for an integration that was deleted */
export function findStanding(
  standings: readonly IntegrationStanding[],
  integrationId: string,
): IntegrationStanding | undefined {
  return integrationId === '' ? direct : standings.find(({ id }) => id === integrationId);
}
