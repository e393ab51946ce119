import {
  type IntegrationAnswer,
  type IntegrationCredentials,
  integrationChange,
  integrationInput,
} from '@countersign/protocol/admin-integrations';
import { describeIntegration } from '../../admin/describe-integration.ts';
import { renderEnrollmentScripts } from '../../admin/enrollment-scripts.ts';
import {
  makeOrganizationSecret,
  randomId,
  randomSecret,
} from '../../admin/make-organization-secret.ts';
import type { IntegrationRefusal } from '../../directory/change-integration.ts';
import type { IntegrationRecord } from '../../directory/integration-records.ts';
import { deriveConnectionUrls } from '../../integrations/tenant-url.ts';
import type { StorageUnavailable } from '../../storage/durable-store.ts';
import { credentialsContext, sealSecret } from '../../storage/sealed-secret.ts';
import { completeAt, currentSnapshot, showChange } from '../answer-change.ts';
import { sha256Text } from '../authenticate-client.ts';
import { askObject, type Broker } from '../broker.ts';
import { type AdminContext, forAdmin } from '../for-admin.ts';
import type { Problem } from '../problem.ts';
import { readBody } from '../read-body.ts';
import { refuseWhileInUse } from '../refuse-while-in-use.ts';

/** Management integrations: what they are. Their states and their end are in `integration-states.ts`. */

export function integrationProblem(refused: IntegrationRefusal | StorageUnavailable): Problem {
  switch (refused.code) {
    case 'group_not_found':
      return { code: refused.code, field: 'state.groups', detail: refused.group };
    case 'field_invalid':
      return { code: refused.code, field: refused.field, detail: refused.detail };
    default:
      return { code: refused.code };
  }
}

/** The address must be a tenant's, before anything is stored that would be sent there. */
function connectionProblem(
  broker: Broker,
  connection: IntegrationRecord['connection'],
): Problem | undefined {
  const derived = deriveConnectionUrls(connection, broker.outboundNetworks);
  return derived.ok
    ? undefined
    : { code: 'field_invalid', field: `connection.${derived.field}`, detail: derived.detail };
}

async function sealCredentials(
  broker: Broker,
  integrationId: string,
  credentials: IntegrationCredentials | undefined,
): Promise<string | undefined> {
  if (credentials === undefined) return undefined;
  const context = credentialsContext(integrationId);
  return await sealSecret(broker.storedSecretsKey, context, JSON.stringify(credentials));
}

/** `GET /v1/admin/integrations`. */
export const getIntegrations = forAdmin('integrations.read', async (broker, context) => {
  const snapshot = await currentSnapshot(broker);
  if (snapshot === undefined) return context.refuse({ code: 'snapshot_unavailable' });
  const integrations: IntegrationAnswer[] = [...snapshot.integrations.values()]
    .toSorted((one, other) => one.created_at_ms - other.created_at_ms)
    .map(describeIntegration);
  return Response.json({ integrations });
});

/** `GET /v1/admin/integrations/{id}`. */
export const getIntegration = forAdmin('integrations.read', async (broker, context) => {
  const id = context.parameter('id');
  const found = await askObject(() => broker.organization().findIntegration(id));
  if (!found.ok) return context.refuse({ code: found.code });
  return Response.json(describeIntegration(found.integration));
});

/** `GET /v1/admin/integrations/{id}/scripts`: with a place for the secret, which is shown once. */
export const getIntegrationScripts = forAdmin('integrations.read', async (broker, context) => {
  const id = context.parameter('id');
  const found = await askObject(() => broker.organization().findIntegration(id));
  if (!found.ok) return context.refuse({ code: found.code });
  return Response.json(renderEnrollmentScripts(broker.brokerUrl, found.integration, undefined));
});

function answerSecret(
  broker: Broker,
  integration: IntegrationRecord,
  organizationSecret: string,
  status: number,
): Response {
  return Response.json(
    {
      integration: describeIntegration(integration),
      organization_secret: organizationSecret,
      scripts: renderEnrollmentScripts(broker.brokerUrl, integration, organizationSecret),
    },
    { status },
  );
}

/** `POST /v1/admin/integrations`: disabled, whatever it says, with its organization secret shown this once. */
export const postIntegration = forAdmin(
  {
    permission: 'integrations.write',
    event: 'admin.integration.create',
    recorded: 'with_change',
  },
  async (broker, context) => {
    const body = await readBody(context.request, integrationInput);
    if (!body.ok) return context.refuse(body.problem);
    const input = body.value;
    const problem = connectionProblem(broker, input.connection);
    if (problem !== undefined) return context.refuse(problem);
    const id = `int_${randomId()}`;
    const { text, secret } = await makeOrganizationSecret(id);
    const sealed = await sealCredentials(broker, id, input.credentials);
    const { credentials: _, ...withoutCredentials } = input;
    const created = await askObject(() =>
      broker
        .organization()
        .createIntegration(context.admin.adminId, id, withoutCredentials, sealed, secret),
    );
    if (!created.ok) return context.refuse(created);
    await showChange(broker, context, id, created);
    return answerSecret(broker, created.value, text, 201);
  },
);

async function answerIntegration(
  broker: Broker,
  context: AdminContext,
  changed: {
    readonly value: IntegrationRecord;
    readonly version: number;
    readonly changed: boolean;
  },
): Promise<Response> {
  await showChange(broker, context, changed.value.integration_id, changed);
  return Response.json({
    integration: describeIntegration(changed.value),
    organization_version: changed.version,
    changed: changed.changed,
    complete_at: completeAt(),
  });
}

/** `PUT /v1/admin/integrations/{id}`. */
export const putIntegration = forAdmin(
  {
    permission: 'integrations.write',
    event: 'admin.integration.update',
    recorded: 'with_change',
  },
  async (broker, context) => {
    const id = context.parameter('id');
    const body = await readBody(context.request, integrationChange);
    if (!body.ok) return context.refuse(body.problem);
    const { credentials, ...change } = body.value;
    const problem =
      connectionProblem(broker, change.connection) ??
      (change.override ? undefined : await refuseDistrust(broker, id, change));
    if (problem !== undefined) return context.refuse(problem);
    const sealed = await sealCredentials(broker, id, credentials);
    const changed = await askObject(() =>
      broker.organization().changeIntegration(context.admin.adminId, id, change, sealed),
    );
    if (!changed.ok) return context.refuse(integrationProblem(changed));
    return await answerIntegration(broker, context, changed);
  },
);

/** What devices were enrolled with, and what was trusted until now, is trusted no longer: that locks them out. */
async function refuseDistrust(
  broker: Broker,
  id: string,
  change: { readonly trust_shared_secret: boolean },
): Promise<Problem | undefined> {
  const snapshot = await currentSnapshot(broker);
  if (snapshot === undefined) return { code: 'snapshot_unavailable' };
  const isDistrusted =
    snapshot.integrations.get(id)?.trust_shared_secret === true && !change.trust_shared_secret;
  return isDistrusted ? await refuseWhileInUse(broker, id) : undefined;
}

/**
 * `POST /v1/admin/integrations/{id}/secret`: a new organization secret, shown this once. Requests by the one before
 * are refused as soon as no snapshot from before is in use; there is no overlap, since who resets a secret has usually
 * lost one.
 */
export const postIntegrationSecret = forAdmin(
  {
    permission: 'integrations.write',
    event: 'admin.integration_secret.reset',
    recorded: 'with_change',
    whileReadOnly: true,
  },
  async (broker, context) => {
    const id = context.parameter('id');
    const { text, secret } = await makeOrganizationSecret(id);
    const changed = await askObject(() =>
      broker.organization().resetIntegrationSecret(context.admin.adminId, id, secret),
    );
    if (!changed.ok) return context.refuse(integrationProblem(changed));
    await showChange(broker, context, id, changed);
    return answerSecret(broker, changed.value, text, 200);
  },
);

/** `POST /v1/admin/integrations/{id}/webhook-secret`: what the management's webhooks come with, shown this once. */
export const postWebhookSecret = forAdmin(
  {
    permission: 'integrations.write',
    event: 'admin.webhook_secret.reset',
    recorded: 'with_change',
  },
  async (broker, context) => {
    const id = context.parameter('id');
    const secret = randomSecret();
    const changed = await askObject(() =>
      broker.organization().resetWebhookSecret(context.admin.adminId, id, sha256Text(secret)),
    );
    if (!changed.ok) return context.refuse(integrationProblem(changed));
    await showChange(broker, context, id, changed);
    const integration = describeIntegration(changed.value);
    return Response.json({ integration, webhook_secret: secret });
  },
);
