import { encodeBase64url } from '@countersign/protocol';
import {
  type JamfWebhook,
  jamfWebhook,
  managementWebhook,
  maxManagementEventBytes,
} from '@countersign/protocol/management-webhooks';
import { currentTimeMs } from '../../clock.ts';
import type { IntegrationRecord } from '../../directory/integration-records.ts';
import type { OrganizationSnapshot } from '../../directory/organization-snapshot.ts';
import type { DeviceIdentity } from '../../integrations/managed-device.ts';
import { secretMatches } from '../authenticate-client.ts';
import { askObject, type Broker, integrationObject } from '../broker.ts';
import { createEnrollmentToken } from '../create-enrollment-token.ts';
import type { Problem } from '../problem.ts';
import { readBody } from '../read-body.ts';
import { logEvent, type RouteContext } from '../route-context.ts';

/**
 * What device managements send. Who has the webhook secret can ask for what enrolls one device, and can have the broker
 * ask the management about one. Nothing that an event says is believed of a device.
 */

type Sender =
  | {
      readonly ok: true;
      readonly integration: IntegrationRecord;
      readonly snapshot: OrganizationSnapshot;
    }
  | { readonly ok: false; readonly problem: Problem };

/** The password of Basic, a bearer token, or the header of its own: what managements can send differs. */
function secretsOf(request: Request): string[] {
  const [scheme = '', value = ''] = (request.headers.get('Authorization') ?? '').split(' ');
  const own = request.headers.get('X-Webhook-Secret');
  const secrets = own === null ? [] : [own];
  if (scheme.toLowerCase() === 'bearer') secrets.push(value);
  if (scheme.toLowerCase() === 'basic') {
    try {
      const pair = atob(value);
      secrets.push(pair.slice(pair.indexOf(':') + 1));
    } catch {
      // No base64 is no secret.
    }
  }
  return secrets;
}

/** An integration that does not exist, has no secret, or has another one: all the same to whoever guesses. */
async function authenticate(broker: Broker, context: RouteContext): Promise<Sender> {
  const read = await broker.snapshots.read(currentTimeMs(), context.waitUntil);
  if (!read.ok) return { ok: false, problem: { code: read.code, logDetail: read.detail } };
  const { snapshot } = read;
  const integration = snapshot.integrations.get(context.parameter('id'));
  const expected = integration?.webhook_secret_sha256;
  const isRight =
    expected !== undefined &&
    secretsOf(context.request).some((secret) => secretMatches(secret, expected));
  return isRight && integration !== undefined
    ? { ok: true, integration, snapshot }
    : { ok: false, problem: { code: 'webhook_authentication_failed' } };
}

const refuseReadOnly = ({ readOnly }: OrganizationSnapshot): Problem | undefined =>
  readOnly === undefined
    ? undefined
    : { code: 'read_only', retryAfterSeconds: readOnly.retryAfterSeconds };

function deviceOf({ event }: JamfWebhook): DeviceIdentity {
  const sources = [event, event?.computer, event?.device];
  const serialNumber = sources.map((source) => source?.serialNumber).find(Boolean);
  const hardwareUuid = sources.map((source) => source?.udid || source?.uuid).find(Boolean);
  return {
    ...(serialNumber ? { serialNumber } : {}),
    ...(hardwareUuid ? { hardwareUuid } : {}),
  };
}

/** `POST /v1/integrations/{id}/jamf-webhook`. */
export async function postJamfWebhook(broker: Broker, context: RouteContext): Promise<Response> {
  const sender = await authenticate(broker, context);
  if (!sender.ok) return context.refuse(sender.problem);
  const body = await readBody(context.request, jamfWebhook, undefined, maxManagementEventBytes);
  if (!body.ok) return context.refuse(body.problem);
  const device = deviceOf(body.value);
  return body.value.webhook.webhookEvent === 'SCEPChallenge'
    ? await answerScepChallenge(broker, context, sender, device)
    : await noteEvent(broker, context, sender.integration, device);
}

/** The challenge as plain text, which is what Jamf Pro puts into the profile. */
async function answerScepChallenge(
  broker: Broker,
  context: RouteContext,
  { integration, snapshot }: Extract<Sender, { ok: true }>,
  device: DeviceIdentity,
): Promise<Response> {
  if (integration.kind !== 'jamf_pro' || !integration.scep.enabled) {
    return context.refuse({ code: 'scep_not_enabled' });
  }
  const readOnly = refuseReadOnly(snapshot);
  if (readOnly !== undefined) return context.refuse(readOnly);
  const id = integration.integration_id;
  const challenge = encodeBase64url(crypto.getRandomValues(new Uint8Array(32)));
  const sha256 = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(challenge));
  const granted = await askObject(() =>
    integrationObject(broker, id).grantScepChallenge(new Uint8Array(sha256), device),
  );
  if (!granted.ok) return context.refuse({ code: granted.code });
  logEvent('scep_challenge_granted', {
    request_id: context.requestId,
    integration_id: id,
    names_device: Object.keys(device).length > 0,
  });
  return new Response(challenge, { headers: { 'Content-Type': 'text/plain; charset=utf-8' } });
}

async function noteEvent(
  broker: Broker,
  context: RouteContext,
  { integration_id: id }: IntegrationRecord,
  device: DeviceIdentity,
): Promise<Response> {
  if (Object.keys(device).length === 0) return Response.json({ devices: 0 });
  const noted = await askObject(() => integrationObject(broker, id).noteEvent(id, device));
  if (!noted.ok) return context.refuse({ code: noted.code });
  return Response.json({ devices: noted.watched });
}

/** `POST /v1/integrations/{id}/webhook`. */
export async function postManagementWebhook(
  broker: Broker,
  context: RouteContext,
): Promise<Response> {
  const sender = await authenticate(broker, context);
  if (!sender.ok) return context.refuse(sender.problem);
  const body = await readBody(context.request, managementWebhook);
  if (!body.ok) return context.refuse(body.problem);
  const asked = body.value;
  const { integration, snapshot } = sender;
  if (asked.request === 'check_device') {
    const { serial_number: serialNumber, hardware_uuid: hardwareUuid } = asked.hardware_id;
    return await noteEvent(broker, context, integration, {
      ...(serialNumber === undefined ? {} : { serialNumber }),
      ...(hardwareUuid === undefined ? {} : { hardwareUuid }),
    });
  }
  if (integration.authority !== 'one_time_token') {
    const detail = `the integration's authority is ${integration.authority}`;
    return context.refuse({ code: 'enrollment_not_allowed', field: 'request', detail });
  }
  const readOnly = refuseReadOnly(snapshot);
  if (readOnly !== undefined) return context.refuse(readOnly);
  const created = await createEnrollmentToken(broker, {
    hardwareId: asked.hardware_id,
    ttlSeconds: asked.ttl_seconds,
    integrationId: integration.integration_id,
    user: asked.user,
  });
  if (!created.ok) return context.refuse(created);
  logEvent('enrollment_token_created', {
    request_id: context.requestId,
    integration_id: integration.integration_id,
    device_id: created.deviceId,
  });
  return Response.json(created.answer, { status: 201 });
}
