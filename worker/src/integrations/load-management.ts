import type { ProblemCode } from '@countersign/protocol';
import { integrationCredentials } from '@countersign/protocol/admin-integrations';
import { parseFields } from '@countersign/protocol/schemas';
import type {
  IntegrationRecord,
  IntegrationWithCredentials,
} from '../directory/integration-records.ts';
import { credentialsContext, openSecret } from '../storage/sealed-secret.ts';
import type { MdmFailure } from './mdm-request.ts';
import type { OutboundNetwork } from './outbound-url.ts';
import { type ConnectionUrls, deriveConnectionUrls } from './tenant-url.ts';

export type ManagementRefusal = {
  readonly ok: false;
  readonly code: ProblemCode;
  readonly detail: string;
  readonly retryAfterSeconds?: number;
};

/** What an integration's management is asked with. */
export type ManagementAccess = {
  readonly ok: true;
  readonly integration: IntegrationRecord;
  readonly urls: ConnectionUrls;
  /** Empty for the kind that asks nobody. */
  readonly secret: string;
};

export type ManagementSettings = {
  readonly storedSecretsKey: CryptoKey;
  readonly outboundNetworks: readonly OutboundNetwork[];
};

/** Opens the credentials of an integration and derives where it asks. */
export async function openManagement(
  { integration, sealedCredentials }: IntegrationWithCredentials,
  settings: ManagementSettings,
): Promise<ManagementAccess | ManagementRefusal> {
  const { connection, integration_id } = integration;
  const derived = deriveConnectionUrls(connection, settings.outboundNetworks);
  if (!derived.ok) {
    const detail = `connection.${derived.field} ${derived.detail}`;
    return { ok: false, code: 'configuration_invalid', detail };
  }
  if (connection.kind === 'inventory_file') {
    return { ok: true, integration, urls: derived.urls, secret: '' };
  }
  const secret =
    sealedCredentials === undefined
      ? undefined
      : await openCredentials(settings.storedSecretsKey, integration_id, sealedCredentials);
  if (secret === undefined) {
    const detail =
      'the stored credentials cannot be opened with this STORED_SECRETS_KEY: give them anew';
    return { ok: false, code: 'integration_credentials_invalid', detail };
  }
  return { ok: true, integration, urls: derived.urls, secret };
}

async function openCredentials(key: CryptoKey, integrationId: string, sealed: string) {
  const text = await openSecret(key, credentialsContext(integrationId), sealed);
  if (text === undefined) return undefined;
  try {
    const parsed = parseFields(integrationCredentials, JSON.parse(text));
    return parsed.ok ? parsed.value.secret : undefined;
  } catch {
    return undefined;
  }
}

const codeOf: Readonly<Record<MdmFailure['reason'], ProblemCode>> = {
  unreachable: 'integration_unavailable',
  timed_out: 'integration_unavailable',
  rate_limited: 'integration_busy',
  server_failed: 'integration_unavailable',
  credentials_refused: 'integration_credentials_invalid',
  permission_missing: 'integration_credentials_invalid',
  redirected: 'integration_answer_malformed',
  answer_malformed: 'integration_answer_malformed',
  answer_too_large: 'integration_answer_malformed',
  refused: 'integration_answer_malformed',
};

/** The one map from what a management does instead of answering to codes of ours. */
export function refusalOfManagement(failure: MdmFailure): ManagementRefusal {
  const { reason, detail, retryAfterSeconds } = failure;
  return {
    ok: false,
    code: codeOf[reason],
    detail,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  };
}
