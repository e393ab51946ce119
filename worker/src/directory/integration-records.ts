import {
  attestationSettings,
  integrationFacts,
  organizationSecretJwk,
  scepSettings,
} from '@countersign/protocol/admin-integrations';
import * as z from 'zod/mini';

/** An integration as snapshots have it: everything but what opens the management. */
export const integrationRecord = z.object({
  ...integrationFacts,
  /** The organization secret's public half; its private one is nowhere in the broker. */
  secret: z.optional(
    z.object({
      secret_id: z.string(),
      public_jwk: organizationSecretJwk,
      created_at_ms: z.int(),
    }),
  ),
  scep: scepSettings,
  webhook_secret_sha256: z.optional(z.string()),
  attestation: attestationSettings,
  created_at_ms: z.int(),
});
export type IntegrationRecord = z.infer<typeof integrationRecord>;

/** With the sealed text of its `integrationCredentials`, which `sealed-secret.ts` opens with the record's id. */
export type IntegrationWithCredentials = {
  readonly integration: IntegrationRecord;
  readonly sealedCredentials: string | undefined;
};

const integrationRow = z.object({
  document: z.string(),
  sealed_credentials: z.nullable(z.string()),
});

export function findIntegration(
  sql: SqlStorage,
  integrationId: string,
): IntegrationWithCredentials | undefined {
  const [found] = sql
    .exec(
      'SELECT document, sealed_credentials FROM integrations WHERE integration_id = ?',
      integrationId,
    )
    .toArray();
  if (found === undefined) return undefined;
  const row = integrationRow.parse(found);
  return {
    integration: integrationRecord.parse(JSON.parse(row.document)),
    sealedCredentials: row.sealed_credentials ?? undefined,
  };
}

export function readIntegrations(sql: SqlStorage): Map<string, IntegrationRecord> {
  const records = sql
    .exec<{ document: string }>('SELECT document FROM integrations')
    .toArray()
    .map(({ document }) => integrationRecord.parse(JSON.parse(document)));
  return new Map(records.map((record) => [record.integration_id, record]));
}

export function storeIntegration(
  sql: SqlStorage,
  { integration, sealedCredentials }: IntegrationWithCredentials,
): void {
  sql.exec(
    `INSERT INTO integrations (integration_id, document, sealed_credentials) VALUES (?, ?, ?)
     ON CONFLICT (integration_id) DO UPDATE SET document = excluded.document,
       sealed_credentials = excluded.sealed_credentials`,
    integration.integration_id,
    JSON.stringify(integration),
    sealedCredentials ?? null,
  );
}

export function removeIntegration(sql: SqlStorage, integrationId: string): void {
  sql.exec('DELETE FROM integrations WHERE integration_id = ?', integrationId);
}

const idsOfGroups = z.record(z.string(), z.array(z.string()));

/**
 * Members of the groups that an integration is on trial with or a policy names, and of no others: a JSON object of
 * lists, made by the database. What it costs follows from the sizes of those groups alone.
 */
export function readNamedGroupsJson(
  sql: SqlStorage,
  integrations: Iterable<IntegrationRecord>,
  inPolicies: Iterable<string>,
): string {
  const named = new Set(inPolicies);
  for (const { state } of integrations) {
    if (state.mode === 'test_groups') for (const group of state.groups) named.add(group);
  }
  if (named.size === 0) return '{}';
  const members = [...named].map((group) => {
    const { ids } = sql
      .exec<{ ids: string }>(
        'SELECT json_group_array(user_id) AS ids FROM group_members WHERE group_id = ?',
        group,
      )
      .one();
    return `${JSON.stringify(group)}:${ids}`;
  });
  return `{${members.join(',')}}`;
}

export function openTrialGroups(json: string): ReadonlyMap<string, ReadonlySet<string>> {
  const groups = idsOfGroups.parse(JSON.parse(json));
  return new Map(Object.entries(groups).map(([group, members]) => [group, new Set(members)]));
}
