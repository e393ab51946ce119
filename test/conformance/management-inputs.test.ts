// What administrators and managements give the broker to work with: addresses, links, and files of devices.
import { createServer } from 'node:net';
import { problemDocument } from '@countersign/protocol/problem';
import { type FakeIntune, startFakeIntune } from '@countersign/testkit/fake-intune';
import { type FakeJamfPro, startFakeJamfPro } from '@countersign/testkit/fake-jamf-pro';
import { listenOnFreePort } from '@countersign/testkit/listen-on-free-port';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { expectProblem } from '../support/expect-answer.ts';
import {
  createIntegration,
  newDevice,
  newSerialNumber,
  sendEnrollment,
  startManagedBroker,
} from '../support/managed-world.ts';
import type { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
let stop: () => Promise<void>;
let jamf: FakeJamfPro;
let intune: FakeIntune;

beforeAll(async () => {
  [jamf, intune] = await Promise.all([startFakeJamfPro(), startFakeIntune()]);
  ({ broker, stop } = await startManagedBroker(jamf.certificatePem));
});
afterAll(async () => {
  await stop?.();
  await Promise.all([jamf?.stop(), intune?.stop()]);
});

const jamfAt = (tenant_url: string) => ({
  kind: 'jamf_pro' as const,
  tenant_url,
  authentication: { method: 'client_credentials' as const, client_id: jamf.clientId },
});
const jamfCredentials = () => ({ credentials: { secret: jamf.clientSecret } });

const intuneConnection = () => ({
  kind: 'intune' as const,
  tenant_id: intune.tenantId,
  client_id: intune.clientId,
  login_url: intune.url,
  graph_url: intune.url,
  management_url: intune.url,
});

const post = (connection: object) =>
  broker.client.admin('POST', '/v1/admin/integrations', {
    name: 'Management',
    connection,
    credentials: { secret: 'secret' },
  });

describe('the address of a management', () => {
  it("is the tenant's; that of an API is refused, and the refusal says what to give", async () => {
    for (const connection of [
      jamfAt('https://example.jamfcloud.com/api/v1'),
      { kind: 'kandji', tenant_url: 'https://example.api.kandji.io' },
      { kind: 'jumpcloud', tenant_url: 'https://console.jumpcloud.com/api' },
    ]) {
      const refused = await post(connection);
      expect(refused.status).toBe(400);
      expect(problemDocument.parse(await refused.json())).toMatchObject({
        code: 'field_invalid',
        field: 'connection.tenant_url',
        detail: expect.stringMatching(/^is the address of an API; give the one that/),
      });
    }
  });

  it('#62 is public, or in a network that this machine has opened', async () => {
    for (const tenantUrl of [
      'https://10.0.0.1',
      'https://169.254.169.254',
      'https://[::1]',
      'https://[::ffff:127.0.0.1]',
      'https://8.8.8.8',
      'https://user@example.com',
    ]) {
      await expectProblem(
        await post(jamfAt(tenantUrl)),
        400,
        'field_invalid',
        'connection.tenant_url',
      );
    }
    const graph = { ...intuneConnection(), graph_url: 'https://169.254.169.254' };
    await expectProblem(await post(graph), 400, 'field_invalid', 'connection.graph_url');
  });
});

describe('what a management answers', () => {
  it('#62 leads the broker nowhere', async () => {
    let visits = 0;
    const canary = createServer((connection) => {
      visits++;
      connection.destroy();
    });
    const port = await listenOnFreePort(canary);
    onTestFinished(() => {
      canary.close();
    });
    // Where the broker may go, and would be let in: only the rule keeps it away.
    const elsewhere = `https://localhost:${port}/`;
    const jamfPro = await createIntegration(broker, {
      connection: jamfAt(jamf.url),
      ...jamfCredentials(),
    });
    const windows = await createIntegration(broker, {
      connection: intuneConnection(),
      credentials: { secret: intune.clientSecret },
    });
    const malformed = async (integration: typeof jamfPro) => {
      const device = await newDevice(newSerialNumber());
      await expectProblem(
        await sendEnrollment(broker, integration, device),
        503,
        'integration_answer_malformed',
      );
    };
    jamf.setFault({ kind: 'redirect', location: elsewhere });
    await malformed(jamfPro);
    jamf.setFault({ kind: 'redirect', location: elsewhere }, '/api/v1/computers-inventory');
    await malformed(jamfPro);
    jamf.setFault(undefined);
    intune.setFault({ kind: 'redirect', location: elsewhere });
    await malformed(windows);
    const text = JSON.stringify({ value: [], '@odata.nextLink': elsewhere });
    intune.setFault({ kind: 'garbage', text }, '/v1.0/deviceManagement');
    await malformed(windows);
    intune.setFault(undefined);
    expect(visits).toBe(0);
  });
});

describe('an inventory file', () => {
  const put = (id: string, text: string, type = 'text/csv') =>
    broker.client.request(`/v1/admin/integrations/${id}/inventory`, {
      method: 'PUT',
      headers: { Authorization: `Bearer ${broker.server.ownerToken}`, 'Content-Type': type },
      body: text,
    });

  it('says which devices may enroll, from the moment that it is there', async () => {
    const file = await createIntegration(broker, { connection: { kind: 'inventory_file' } });
    const [one, other] = [newSerialNumber(), newSerialNumber()];
    const uuid = 'ebbff74d-b1a2-4c3d-8e4f-001122334455';
    const enroll = async (serialNumber: string, hardwareUuid?: string) =>
      await sendEnrollment(broker, file, await newDevice(serialNumber, hardwareUuid));
    await expectProblem(await enroll(one), 403, 'device_not_in_inventory');

    const first = await put(
      file.id,
      `serial_number,owner,hardware_uuid\r\n${one},"Dana, QA",\r\n,,${uuid}\r\n`,
    );
    expect(await first.json()).toEqual({ devices: 2, devices_before: 0 });
    expect((await enroll(one)).status).toBe(201);
    expect((await enroll(other, uuid)).status).toBe(201);
    await expectProblem(await enroll(other), 403, 'device_not_in_inventory');

    const second = await put(file.id, `serial_number\n${other.toLowerCase()}\n`);
    expect(await second.json()).toEqual({ devices: 1, devices_before: 2 });
    await expectProblem(await enroll(one), 403, 'device_not_in_inventory');
    expect((await enroll(other)).status).toBe(201);
  });

  it('is refused as a whole, with the number of the line', async () => {
    const file = await createIntegration(broker, { connection: { kind: 'inventory_file' } });
    const kept = newSerialNumber();
    await put(file.id, `serial_number\n${kept}\n`);
    const table = [
      ['name\nMac', 'line 1'],
      [`serial_number\n${newSerialNumber()}\n\nTo be filled by O.E.M.`, 'line 4'],
      [`serial_number,hardware_uuid\n${newSerialNumber()}`, 'line 2'],
      ['serial_number\n', 'line 2'],
    ] as const;
    for (const [text, field] of table) {
      await expectProblem(await put(file.id, text), 400, 'field_invalid', field);
    }
    await expectProblem(
      await put(file.id, '[]', 'application/json'),
      400,
      'content_type_unsupported',
    );
    await expectProblem(await put(file.id, 'x'.repeat(1024 * 1024 + 1)), 413, 'body_too_large');
    const device = await newDevice(kept);
    expect((await sendEnrollment(broker, file, device)).status).toBe(201);
    const jamfPro = await createIntegration(broker, {
      connection: jamfAt(jamf.url),
      ...jamfCredentials(),
    });
    await expectProblem(
      await put(jamfPro.id, 'serial_number\nC02ABC\n'),
      400,
      'field_invalid',
      'id',
    );
  });
});
