import { enrollmentTokenAnswer } from '@countersign/protocol/admin';
import {
  type IntegrationRequest,
  integrationSecretAnswer,
} from '@countersign/protocol/admin-integrations';
import type { EnrollmentAnswer } from '@countersign/protocol/enrollment';
import type { BrokerClient } from '@countersign/testkit/broker-client';
import type { FakeDevice } from '@countersign/testkit/fake-device';

async function send(client: BrokerClient, method: string, path: string, body: unknown) {
  const response = await client.admin(method, path, body);
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  const answer: unknown = JSON.parse(text);
  return answer;
}

/** An integration for all users, whose devices are those that a list names. */
export class InventoryIntegration {
  readonly id: string;
  readonly #client: BrokerClient;
  readonly #request: IntegrationRequest;

  private constructor(client: BrokerClient, id: string, request: IntegrationRequest) {
    this.#client = client;
    this.id = id;
    this.#request = request;
  }

  static async create(
    client: BrokerClient,
    settings: Partial<IntegrationRequest> = {},
  ): Promise<InventoryIntegration> {
    const request: IntegrationRequest = {
      name: 'Inventory',
      authority: 'one_time_token',
      connection: { kind: 'inventory_file' },
      ...settings,
    };
    const created = await send(client, 'POST', '/v1/admin/integrations', request);
    const { integration } = integrationSecretAnswer.parse(created);
    const made = new InventoryIntegration(client, integration.integration_id, request);
    await send(client, 'PUT', `${made.path}/state`, { state: { mode: 'all_users' } });
    return made;
  }

  get path(): string {
    return `/v1/admin/integrations/${this.id}`;
  }

  async change(settings: Partial<IntegrationRequest>): Promise<void> {
    await send(this.#client, 'PUT', this.path, { ...this.#request, ...settings });
  }

  async putInventory(devices: readonly FakeDevice[]): Promise<void> {
    const rows = devices.map(({ hardwareId }) => hardwareId.serial_number ?? '');
    const csv = `serial_number\n${rows.join('\n')}\n`;
    const response = await this.#client.sendCsv(`${this.path}/inventory`, csv);
    if (!response.ok) throw new Error(`inventory: ${response.status} ${await response.text()}`);
  }

  async enroll(device: FakeDevice): Promise<EnrollmentAnswer> {
    const answer = await send(this.#client, 'POST', '/v1/admin/enrollment-tokens', {
      hardware_id: device.hardwareId,
      ttl_seconds: 600,
      integration_id: this.id,
    });
    return await this.#client.enroll(device, enrollmentTokenAnswer.parse(answer).enrollment_token);
  }

  /** Ends it, whoever relies on it. */
  async delete(): Promise<void> {
    const response = await this.#client.admin('DELETE', `${this.path}?override=true`);
    if (!response.ok) throw new Error(`delete: ${response.status} ${await response.text()}`);
  }
}
