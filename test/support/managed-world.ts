import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { enrollmentTokenAnswer } from '@countersign/protocol/admin';
import {
  type IntegrationRequest,
  integrationSecretAnswer,
  webhookSecretAnswer,
} from '@countersign/protocol/admin-integrations';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { TestBroker } from './test-broker.ts';

/** A broker that may reach this machine's loopback network, and trusts the fakes of device managements there. */
export async function startManagedBroker(certificatePem: string): Promise<{
  readonly broker: TestBroker;
  readonly stop: () => Promise<void>;
}> {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-management-'));
  const authoritiesFile = join(directory, 'authorities.pem');
  writeFileSync(authoritiesFile, certificatePem);
  const broker = await TestBroker.start({
    outbound: { allow: ['127.0.0.0/8'], authoritiesFile },
  });
  return {
    broker,
    stop: async () => {
      await broker.stopAndRemove();
      rmSync(directory, { recursive: true });
    },
  };
}

export type CreatedIntegration = {
  readonly id: string;
  readonly webhookSecret: string;
  /** Where its webhooks are sent. */
  readonly webhookUrl: string;
};

let serial = 0;
/** A serial number that no other device of this process has, as makers of hardware spell them. */
export const newSerialNumber = () =>
  `C02T${(serial++).toString(36).toUpperCase().padStart(6, '0')}`;

/** Creates an integration that takes one-time tokens and has a webhook secret. */
export async function createIntegration(
  broker: TestBroker,
  request: Pick<IntegrationRequest, 'connection'> & Partial<IntegrationRequest>,
): Promise<CreatedIntegration> {
  const created = await broker.client.admin('POST', '/v1/admin/integrations', {
    name: 'Management',
    authority: 'one_time_token',
    poll_interval_seconds: 60,
    ...request,
  });
  if (created.status !== 201) throw new Error(await created.text());
  const { integration } = integrationSecretAnswer.parse(await created.json());
  const id = integration.integration_id;
  const path = `/v1/admin/integrations/${id}/webhook-secret`;
  const answer = await broker.client.admin('POST', path, {});
  const { webhook_secret } = webhookSecretAnswer.parse(await answer.json());
  return { id, webhookSecret: webhook_secret, webhookUrl: `${broker.url}/v1/integrations/${id}` };
}

/** What the management's generic webhook sends. */
export function sendManagementWebhook(
  { webhookUrl, webhookSecret }: CreatedIntegration,
  body: unknown,
) {
  return fetch(`${webhookUrl}/webhook`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${webhookSecret}` },
    body: JSON.stringify(body),
  });
}

/** Has the management ask for a token of this device, and sends the device's enrollment with it. */
export async function sendEnrollment(
  broker: TestBroker,
  integration: CreatedIntegration,
  device: FakeDevice,
): Promise<Response> {
  const asked = { request: 'enrollment_token', hardware_id: device.hardwareId };
  const answer = await sendManagementWebhook(integration, asked);
  const { enrollment_token } = enrollmentTokenAnswer.parse(await answer.json());
  return await broker.client.post('/v1/enrollments', device.enrollmentRequest(enrollment_token));
}

export const newDevice = (serialNumber: string, hardwareUuid?: string) =>
  FakeDevice.create({
    serial_number: serialNumber,
    ...(hardwareUuid === undefined ? {} : { hardware_uuid: hardwareUuid }),
  });
