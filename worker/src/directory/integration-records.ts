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

/** Groups that an integration is on trial with. */
export const groupsOnTrial = (integrations: Iterable<IntegrationRecord>): string[] =>
  [...integrations].flatMap(({ state }) => (state.mode === 'test_groups' ? state.groups : []));
