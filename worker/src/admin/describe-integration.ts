import type { IntegrationAnswer } from '@countersign/protocol/admin-integrations';
import type { IntegrationRecord } from '../directory/integration-records.ts';

/** What an administrator sees of an integration: nothing that opens the management, or proves anything to the broker. */
export function describeIntegration({
  secret,
  webhook_secret_sha256,
  created_at_ms,
  ...same
}: IntegrationRecord): IntegrationAnswer {
  return {
    ...same,
    has_credentials: same.kind !== 'inventory_file',
    ...(secret === undefined
      ? {}
      : {
          secret: {
            secret_id: secret.secret_id,
            created_at: new Date(secret.created_at_ms).toISOString(),
          },
        }),
    has_webhook_secret: webhook_secret_sha256 !== undefined,
    created_at: new Date(created_at_ms).toISOString(),
  };
}
