// Device managements: what the broker makes of their word at enrollment, and afterwards.
import { randomUUID } from 'node:crypto';
import type { ProblemCode } from '@countersign/protocol';
import { deviceAnswer } from '@countersign/protocol/admin';
import { enrollmentAnswer } from '@countersign/protocol/enrollment';
import { testedCredentials } from '@countersign/protocol/management-webhooks';
import { type FakeIntune, startFakeIntune } from '@countersign/testkit/fake-intune';
import { type FakeJamfPro, startFakeJamfPro } from '@countersign/testkit/fake-jamf-pro';
import { type FakeJumpCloud, startFakeJumpCloud } from '@countersign/testkit/fake-jumpcloud';
import { type FakeKandji, startFakeKandji } from '@countersign/testkit/fake-kandji';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { expectProblem } from '../support/expect-answer.ts';
import {
  type CreatedIntegration,
  createIntegration,
  newDevice,
  newSerialNumber,
  sendEnrollment,
  sendManagementWebhook,
  startManagedBroker,
} from '../support/managed-world.ts';
import type { TestBroker } from '../support/test-broker.ts';

const dayMs = 86_400_000;
const newUuid = () => randomUUID().toUpperCase();

let broker: TestBroker;
let stop: () => Promise<void>;
let jamf: FakeJamfPro;
let intune: FakeIntune;
let jumpcloud: FakeJumpCloud;
let kandji: FakeKandji;
let jamfIntegration: CreatedIntegration;

const jamfConnection = () =>
  ({
    connection: {
      kind: 'jamf_pro',
      tenant_url: jamf.url,
      authentication: { method: 'client_credentials', client_id: jamf.clientId },
    },
    credentials: { secret: jamf.clientSecret },
  }) as const;

beforeAll(async () => {
  [jamf, intune, jumpcloud, kandji] = await Promise.all([
    startFakeJamfPro(),
    startFakeIntune(),
    startFakeJumpCloud(),
    startFakeKandji(),
  ]);
  ({ broker, stop } = await startManagedBroker(jamf.certificatePem));
  jamfIntegration = await createIntegration(broker, jamfConnection());
});
afterEach(() => jamf.setFault(undefined));
afterAll(async () => {
  await stop?.();
  await Promise.all([jamf, intune, jumpcloud, kandji].map((fake) => fake?.stop()));
});

/** A device that Jamf Pro has; `changes` say how. */
async function jamfDevice(changes: { managed?: boolean; lastContactMs?: number } = {}) {
  const [serialNumber, udid] = [newSerialNumber(), newUuid()];
  const computer = { serialNumber, udid, managed: true, lastContactMs: Date.now(), ...changes };
  jamf.computers.set(serialNumber, computer);
  return { device: await newDevice(serialNumber, udid), computer };
}

const testCredentials = async (integrationId: string) => {
  const path = `/v1/admin/integrations/${integrationId}/test-credentials`;
  const answer = await broker.client.admin('POST', path, {});
  expect(answer.status).toBe(200);
  return testedCredentials.parse(await answer.json());
};

const statusesOf = async (deviceId: string) => {
  const answer = await broker.client.admin('GET', `/v1/admin/devices/${deviceId}`);
  const { certificates } = deviceAnswer.parse(await answer.json());
  return certificates.map(({ status }) => status);
};

describe('an enrollment', () => {
  it('is for a device that the management has, whichever one that is', async () => {
    const { url } = intune;
    const nowMs = Date.now();
    const serials = [newSerialNumber(), newSerialNumber(), newSerialNumber()] as const;
    intune.devices.set('w', {
      serialNumber: serials[0],
      managementState: 'managed',
      lastSyncMs: nowMs,
    });
    jumpcloud.systems.set('j', { serialNumber: serials[1], lastContactMs: nowMs });
    const mac = {
      serialNumber: serials[2],
      lastCheckInMs: nowMs,
      mdmEnabled: true,
      isRemoved: false,
    };
    kandji.devices.set('k', mac);
    const { tenantId: tenant_id, clientId: client_id } = intune;
    const urls = { login_url: url, graph_url: url, management_url: url };
    const integrations = [
      await createIntegration(broker, {
        connection: { kind: 'intune', tenant_id, client_id, ...urls },
        credentials: { secret: intune.clientSecret },
      }),
      await createIntegration(broker, {
        connection: { kind: 'jumpcloud', tenant_url: jumpcloud.url },
        credentials: { secret: jumpcloud.apiKey },
      }),
      await createIntegration(broker, {
        connection: { kind: 'kandji', tenant_url: kandji.url },
        credentials: { secret: kandji.apiToken },
      }),
    ];
    for (const [at, integration] of integrations.entries()) {
      const device = await newDevice(serials[at] ?? '');
      expect((await sendEnrollment(broker, integration, device)).status).toBe(201);
      const other = await sendEnrollment(broker, integration, await newDevice(newSerialNumber()));
      await expectProblem(other, 403, 'device_not_managed');
      expect(await testCredentials(integration.id)).toMatchObject({ success: true });
    }
    const { device } = await jamfDevice();
    expect((await sendEnrollment(broker, jamfIntegration, device)).status).toBe(201);
  });

  it('is refused for a device that is not managed, not known, another one, or silent', async () => {
    const unmanaged = await jamfDevice({ managed: false });
    const silent = await jamfDevice({ lastContactMs: Date.now() - 31 * dayMs });
    const known = await jamfDevice();
    const table: ReadonlyArray<[Awaited<ReturnType<typeof newDevice>>, ProblemCode]> = [
      [unmanaged.device, 'device_not_managed'],
      [silent.device, 'device_check_in_stale'],
      [await newDevice(newSerialNumber()), 'device_not_managed'],
      [await newDevice(known.computer.serialNumber, newUuid()), 'device_not_managed'],
    ];
    for (const [device, code] of table) {
      await expectProblem(await sendEnrollment(broker, jamfIntegration, device), 403, code);
    }
  });

  it('is refused while the management does not answer, and waits no longer than it has to', async () => {
    const { device } = await jamfDevice();
    const integration = await createIntegration(broker, jamfConnection());
    jamf.setFault({ kind: 'rate_limited', retryAfterSeconds: 2 });
    const limited = await sendEnrollment(broker, integration, device);
    expect(limited.headers.get('Retry-After')).toBe('2');
    await expectProblem(limited, 503, 'integration_busy');
    const before = jamf.requests.length;
    await expectProblem(await sendEnrollment(broker, integration, device), 503, 'integration_busy');
    expect(jamf.requests.length).toBe(before);

    const others: ReadonlyArray<[Parameters<FakeJamfPro['setFault']>[0], ProblemCode]> = [
      [{ kind: 'outage' }, 'integration_unavailable'],
      [{ kind: 'failing' }, 'integration_unavailable'],
      [{ kind: 'garbage' }, 'integration_answer_malformed'],
      [{ kind: 'redirect', location: `${jamf.url}/login` }, 'integration_answer_malformed'],
      [{ kind: 'unauthorized' }, 'integration_credentials_invalid'],
    ];
    for (const [fault, code] of others) {
      jamf.setFault(fault);
      const fresh = await createIntegration(broker, jamfConnection());
      await expectProblem(await sendEnrollment(broker, fresh, device), 503, code);
    }
    expect(jamf.requests.filter(({ path }) => path === '/login')).toEqual([]);
    jamf.setFault({ kind: 'outage' });
    const lenient = await createIntegration(broker, { ...jamfConnection(), outage: 'issue' });
    expect((await sendEnrollment(broker, lenient, device)).status).toBe(201);
    // Whoever sends too many requests gets nothing by that.
    jamf.setFault({ kind: 'rate_limited', retryAfterSeconds: 2 });
    const flooded = await createIntegration(broker, { ...jamfConnection(), outage: 'issue' });
    for (const code of ['integration_busy', 'integration_busy'] as const) {
      await expectProblem(await sendEnrollment(broker, flooded, device), 503, code);
    }
  });
});

describe('a renewal', () => {
  it('asks the management again', async () => {
    const { device, computer } = await jamfDevice();
    const enrolled = await sendEnrollment(broker, jamfIntegration, device);
    const answer = enrollmentAnswer.parse(await enrolled.json());
    device.certificate = Buffer.from(answer.certificate, 'base64url');
    device.deviceId = answer.device_id;
    const renew = async () => {
      const { csr } = await newDevice(newSerialNumber());
      const claims = { rekey_csr: Buffer.from(csr).toString('base64url') };
      return await broker.client.sendRenewal(device, { claims });
    };
    computer.managed = false;
    await expectProblem(await renew(), 403, 'device_not_managed');
    jamf.setFault({ kind: 'outage' });
    await expectProblem(await renew(), 503, 'integration_unavailable');
    jamf.setFault(undefined);
    computer.managed = true;
    expect((await renew()).status).toBe(200);
  });
});

describe('a storm of enrollments', () => {
  it('reaches the management a few requests at a time, with one token', async () => {
    const storm = await startFakeJamfPro();
    onTestFinished(() => storm.stop());
    const serials = Array.from({ length: 60 }, newSerialNumber);
    for (const serialNumber of serials) {
      const computer = { serialNumber, udid: newUuid(), managed: true, lastContactMs: Date.now() };
      storm.computers.set(serialNumber, computer);
    }
    const integration = await createIntegration(broker, {
      connection: {
        kind: 'jamf_pro',
        tenant_url: storm.url,
        authentication: { method: 'basic', username: storm.username },
      },
      credentials: { secret: storm.password },
    });
    storm.setFault({ kind: 'slow', delayMs: 30 });
    const statuses = await Promise.all(
      serials.map(async (serialNumber) => {
        const device = await newDevice(serialNumber);
        return (await sendEnrollment(broker, integration, device)).status;
      }),
    );
    expect(statuses).toEqual(serials.map(() => 201));
    expect(storm.peakRequests()).toBeLessThanOrEqual(4);
    expect(storm.requests.filter(({ path }) => path === '/api/v1/auth/token')).toHaveLength(1);
  });
});

describe('credentials', () => {
  it('are tried, and the answer is success or the exact cause', async () => {
    expect(await testCredentials(jamfIntegration.id)).toMatchObject({
      success: true,
      detail: expect.stringMatching(/^\d+ devices, \d+ of them managed$/),
    });
    const wrong = await createIntegration(broker, {
      ...jamfConnection(),
      credentials: { secret: 'wrong' },
    });
    expect(await testCredentials(wrong.id)).toEqual({
      success: false,
      code: 'integration_credentials_invalid',
      detail: expect.stringMatching(
        /^localhost:\d+\/api\/oauth\/token refuses the credentials \(401\)$/,
      ),
    });
    jamf.setFault({ kind: 'outage' });
    expect(await testCredentials(jamfIntegration.id)).toMatchObject({
      success: false,
      code: 'integration_unavailable',
    });
    jamf.setFault(undefined);
    // Nobody waits for a pause to end who has just repaired something.
    expect(await testCredentials(jamfIntegration.id)).toMatchObject({ success: true });
    const unknown = `/v1/admin/integrations/int_${'A'.repeat(22)}/test-credentials`;
    await expectProblem(
      await broker.client.admin('POST', unknown, {}),
      404,
      'integration_not_found',
    );
  });
});

describe('a webhook', () => {
  const basic = (secret: string) => ({
    Authorization: `Basic ${Buffer.from(`jamf:${secret}`).toString('base64')}`,
  });

  it('#65 needs the secret of its integration', async () => {
    const url = `${jamfIntegration.webhookUrl}/jamf-webhook`;
    const noSuch = url.replace(jamfIntegration.id, `int_${'A'.repeat(22)}`);
    for (const [to, headers] of [
      [url, {}],
      [url, basic('wrong')],
      [url, { Authorization: 'Basic %%%' }],
      [url, { 'X-Webhook-Secret': '' }],
      [noSuch, basic(jamfIntegration.webhookSecret)],
    ] as const) {
      const answer = await jamf.sendWebhook(to, 'ComputerAdded', {}, headers);
      await expectProblem(answer, 401, 'webhook_authentication_failed');
    }
  });

  it('#65 can only have the management asked, which has to say twice that a device is not managed', async () => {
    const { device, computer } = await jamfDevice();
    const enrolled = await sendEnrollment(broker, jamfIntegration, device);
    const { device_id } = enrollmentAnswer.parse(await enrolled.json());
    const { serialNumber, udid } = computer;
    const send = (name: string, event: unknown) =>
      jamf.sendWebhook(
        `${jamfIntegration.webhookUrl}/jamf-webhook`,
        name,
        event,
        basic(jamfIntegration.webhookSecret),
      );
    const lookUps = () =>
      jamf.requests.filter(({ query }) => query.get('filter')?.includes(serialNumber)).length;

    // Whatever an event claims, the answer counts.
    const before = lookUps();
    const claim = await send('ComputerUnenrolled', { serialNumber, udid, managed: false });
    expect(await claim.json()).toEqual({ devices: 1 });
    await expect.poll(lookUps, { timeout: 20_000 }).toBeGreaterThan(before);
    // Neither do events of other shapes, nor of nobody.
    for (const event of [
      undefined,
      null,
      {},
      { computer: null },
      { serialNumber: newSerialNumber() },
    ]) {
      expect(await (await send('PatchSoftwareTitleUpdated', event)).json()).toEqual({ devices: 0 });
    }
    expect(await statusesOf(device_id)).toEqual(['issued']);

    computer.managed = false;
    jamf.setFault({ kind: 'garbage', text: '{"totalCount":0,"results":"none"}' });
    await send('ComputerCheckIn', { computer: { serialNumber, udid }, trigger: 'CLIENT_CHECKIN' });
    await new Promise((resolve) => setTimeout(resolve, 1500));
    jamf.setFault(undefined);
    expect(await statusesOf(device_id)).toEqual(['issued']);
    await send('ComputerPushCapabilityChanged', { serialNumber, udid });
    const event = { request: 'check_device', hardware_id: { serial_number: serialNumber } };
    await sendManagementWebhook(jamfIntegration, event);
    await expect
      .poll(() => statusesOf(device_id), { timeout: 30_000, interval: 500 })
      .toEqual(['revoked']);
  });

  it('is answered with a challenge for SCEP, as plain text, where SCEP is on', async () => {
    const scep = await createIntegration(broker, { ...jamfConnection(), scep: { enabled: true } });
    const event = {
      scepServerUrl: `${broker.url}/scep/${scep.id}`,
      payloadIdentifier: randomUUID(),
      payloadTypes: ['com.apple.security.scep'],
      device: { uuid: newUuid(), serialNumber: newSerialNumber() },
    };
    const ask = (integration: CreatedIntegration) =>
      jamf.sendWebhook(
        `${integration.webhookUrl}/jamf-webhook`,
        'SCEPChallenge',
        event,
        basic(integration.webhookSecret),
      );
    const [one, other] = [await ask(scep), await ask(scep)];
    expect(one.headers.get('Content-Type')).toMatch(/^text\/plain/);
    const challenges = [await one.text(), await other.text()];
    expect(challenges).toEqual([expect.stringMatching(/^[\w-]{43}$/), expect.any(String)]);
    expect(new Set(challenges).size).toBe(2);
    await expectProblem(await ask(jamfIntegration), 404, 'scep_not_enabled');
  });

  it('gives tokens only where tokens permit an enrollment', async () => {
    const shared = await createIntegration(broker, {
      ...jamfConnection(),
      authority: 'organization_secret',
    });
    const asked = {
      request: 'enrollment_token',
      hardware_id: { serial_number: newSerialNumber() },
    };
    await expectProblem(
      await sendManagementWebhook(shared, asked),
      403,
      'enrollment_not_allowed',
      'request',
    );
  });
});
