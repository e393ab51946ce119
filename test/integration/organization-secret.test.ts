import { env } from 'cloudflare:test';
import { integrationSecretAnswer } from '@countersign/protocol/admin-integrations';
import { problemDocument } from '@countersign/protocol/problem';
import type { TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import {
  makeOrganizationSecret,
  type OrganizationSecret,
  type ProofChanges,
  readOrganizationSecret,
  withProof,
} from '@countersign/testkit/organization-secret';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { broker } from './test-broker.ts';

// Enrollment with the secret that all devices of an integration share, and what its certificates count for.

let client: TestClient;
let secret: OrganizationSecret;
let path: string;
let serialNumber: string;

beforeAll(async () => {
  client = await broker.registerClient();
});

beforeEach(async () => {
  serialNumber = `M${crypto.randomUUID().replaceAll('-', '').toUpperCase()}`;
  secret = await createIntegration();
  path = `/v1/admin/integrations/${secret.integrationId}`;
});

async function createIntegration(changes: object = {}): Promise<OrganizationSecret> {
  const created = await broker.admin('POST', '/v1/admin/integrations', {
    name: 'Own list',
    authority: 'organization_secret',
    trust_shared_secret: true,
    connection: { kind: 'inventory_file' },
    ...changes,
  });
  const { integration, organization_secret } = integrationSecretAnswer.parse(await created.json());
  const { integration_id } = integration;
  const object = env.INTEGRATION.get(env.INTEGRATION.idFromName(integration_id));
  await object.putInventory([{ serialNumber, hardwareUuid: '' }]);
  return readOrganizationSecret(organization_secret);
}

async function send(
  device: FakeDevice,
  by = secret,
  changes: ProofChanges = {},
  headers: Readonly<Record<string, string>> = {},
) {
  const request = await withProof(
    device.enrollmentRequest('A'.repeat(43)),
    by,
    broker.brokerUrl,
    changes,
  );
  return await broker.post('/v1/enrollments', request, headers);
}

const newDevice = (serial_number = serialNumber) => FakeDevice.create({ serial_number });

async function enroll(device: FakeDevice): Promise<FakeDevice> {
  const response = await send(device);
  const answer = await response.json();
  expect(response.status, JSON.stringify(answer)).toBe(201);
  const { certificate, device_id } = answer as { certificate: string; device_id: string };
  device.certificate = Buffer.from(certificate, 'base64url');
  device.deviceId = device_id;
  return device;
}

async function refusalOf(response: Response) {
  const { status, code } = problemDocument.parse(await response.json());
  return [status, code];
}

async function setState(state: object, override = false) {
  const response = await broker.admin('PUT', `${path}/state`, { state, override });
  expect(response.status, await response.clone().text()).toBe(200);
}

const signIn = async (device: FakeDevice, user?: string) => {
  const { decision, context } = await broker.signIn(client, device, user);
  return decision ? 'allowed' : context.reason_code;
};

describe('a device of the inventory', () => {
  it('enrolls with a request that the secret signed, while the integration is disabled still', async () => {
    const device = await enroll(await newDevice());
    const { certificates, management } = await broker.device(device.deviceId ?? '');
    expect(certificates).toMatchObject([
      {
        status: 'issued',
        enrollment_strength: 'organization_secret',
        integration_id: secret.integrationId,
      },
    ]);
    expect(management).toMatchObject({ integration_id: secret.integrationId });
    expect(await signIn(device)).toBe('integration_disabled');
  });

  it('signs in once its integration is active for its user', async () => {
    const device = await enroll(await newDevice());
    await broker.admin('PUT', '/v1/admin/groups/pilots', { name: 'Pilots', members: ['ada'] });
    await setState({ mode: 'test_groups', groups: ['pilots'] });
    expect(await signIn(device, 'grace')).toBe('integration_not_for_user');
    expect(await signIn(device, 'ada')).toBe('allowed');
    await setState({ mode: 'all_users' });
    expect(await signIn(device, 'grace')).toBe('certificate_bound_to_other_user');
    expect(await signIn(device, 'ada')).toBe('allowed');
  });

  it('is trusted only where the administrator has opted in to the shared secret', async () => {
    secret = await createIntegration({ trust_shared_secret: false });
    path = `/v1/admin/integrations/${secret.integrationId}`;
    const device = await enroll(await newDevice());
    await setState({ mode: 'all_users' });
    expect(await signIn(device)).toBe('enrollment_strength_insufficient');
  });

  it('is trusted only by applications that take the strength of its enrollment', async () => {
    const device = await enroll(await newDevice());
    await setState({ mode: 'all_users' });
    const signInTo = async (application: Parameters<typeof broker.registerClient>[0]) => {
      const { decision, context } = await broker.signIn(
        await broker.registerClient(application),
        device,
      );
      return [decision, context.reason_code];
    };
    const onlyHardware = { enrollment_strengths: ['hardware_attested' as const] };
    expect(await signInTo(onlyHardware)).toEqual([false, 'enrollment_strength_insufficient']);
    expect(await signInTo({ ...onlyHardware, enforcement: 'monitor' })).toEqual([
      true,
      'monitor_only',
    ]);
    const [certificate] = (await broker.device(device.deviceId ?? '')).certificates;
    expect(certificate?.bound_user).toBeUndefined();
    const all = ['hardware_attested' as const, 'organization_secret' as const];
    expect(await signInTo({ enrollment_strengths: all })).toEqual([true, 'trusted_device']);
  });

  it('asks an administrator before it gets a second certificate', async () => {
    await enroll(await newDevice());
    const second = await newDevice();
    expect(await refusalOf(await send(second))).toEqual([403, 'enrollment_approval_needed']);
    const { approvals } = (await (
      await broker.admin('GET', '/v1/admin/enrollment-approvals')
    ).json()) as { approvals: { device_id: string; spki_sha256: string }[] };
    const [waiting] = approvals.slice(-1);
    const approval = `/v1/admin/devices/${waiting?.device_id}/enrollment-approvals/${waiting?.spki_sha256}`;
    expect((await broker.admin('POST', approval)).status).toBe(200);
    expect((await send(second)).status).toBe(201);
    expect(await refusalOf(await send(await newDevice()))).toEqual([
      403,
      'enrollment_approval_needed',
    ]);
  });

  it('has no trust left when its integration is deleted, from the first sign-in on', async () => {
    const device = await enroll(await newDevice());
    await setState({ mode: 'all_users' });
    expect(await signIn(device)).toBe('allowed');
    expect(await refusalOf(await broker.admin('DELETE', path))).toEqual([
      409,
      'integration_in_use',
    ]);
    expect(await signIn(device)).toBe('allowed');
    expect((await broker.admin('DELETE', `${path}?override=true`)).status).toBe(202);
    expect(['integration_deleted', 'certificate_revoked']).toContain(await signIn(device));
    expect((await refusalOf(await broker.sendRenewal(device)))[0]).toBe(403);
    expect(await refusalOf(await send(await newDevice()))).toEqual([
      403,
      'enrollment_secret_unknown',
    ]);
  });
});

describe('an enrollment with the secret is refused', () => {
  it('for a device that the inventory does not have', async () => {
    const stranger = await newDevice(`X${crypto.randomUUID()}`);
    expect(await refusalOf(await send(stranger))).toEqual([403, 'device_not_in_inventory']);
  });

  it('when the secret was reset, and with the new one it is not', async () => {
    const reset = await broker.admin('POST', `${path}/secret`);
    const fresh = integrationSecretAnswer.parse(await reset.json()).organization_secret;
    const device = await newDevice();
    expect(await refusalOf(await send(device))).toEqual([403, 'enrollment_proof_invalid']);
    expect((await send(device, readOrganizationSecret(fresh))).status).toBe(201);
  });

  it('under an integration of nobody', async () => {
    const foreign = makeOrganizationSecret();
    expect(await refusalOf(await send(await newDevice(), foreign))).toEqual([
      403,
      'enrollment_secret_unknown',
    ]);
  });

  it('under the secret of one integration in the name of another', async () => {
    const other = await createIntegration();
    const changes = { header: { kid: other.integrationId } };
    expect(await refusalOf(await send(await newDevice(), secret, changes))).toEqual([
      403,
      'enrollment_proof_invalid',
    ]);
  });

  it('where the integration enrolls by tokens', async () => {
    secret = await createIntegration({ authority: 'one_time_token' });
    expect(await refusalOf(await send(await newDevice()))).toEqual([403, 'enrollment_not_allowed']);
  });

  it('without a user where one is wanted, for an unknown one, and for one who was deactivated', async () => {
    secret = await createIntegration({ require_active_user: true });
    const ask = async (user?: string) => {
      const device = await newDevice();
      const request = { ...device.enrollmentRequest('A'.repeat(43)), ...(user ? { user } : {}) };
      const proven = await withProof(request, secret, broker.brokerUrl);
      return await broker.post('/v1/enrollments', proven);
    };
    expect(await refusalOf(await ask())).toEqual([400, 'field_invalid']);
    const user = `user-${crypto.randomUUID()}`;
    expect(await refusalOf(await ask(user))).toEqual([403, 'enrollment_user_unknown']);
    await broker.putUser(user, true);
    await broker.putUser(user, false);
    expect(await refusalOf(await ask(user))).toEqual([403, 'enrollment_user_inactive']);
    await broker.putUser(user, true);
    expect((await ask(user)).status).toBe(201);
  });

  it('while the broker is read-only, as renewals are; sign-ins go on', async () => {
    const device = await enroll(await newDevice());
    await setState({ mode: 'all_users' });
    const mode = await broker.admin('PUT', '/v1/admin/mode', { read_only: true });
    expect(mode.status, await mode.clone().text()).toBe(200);
    const refused = await send(await newDevice());
    expect(refused.headers.get('Retry-After')).toMatch(/^\d+$/);
    expect(await refusalOf(refused)).toEqual([503, 'read_only']);
    expect(await refusalOf(await broker.sendRenewal(device))).toEqual([503, 'read_only']);
    expect(await signIn(device)).toBe('allowed');
    await broker.admin('PUT', '/v1/admin/mode', { read_only: false });
    expect((await broker.sendRenewal(device)).status).toBe(200);
  });
});

describe('guessing', () => {
  it('is only counted for a secret that many addresses claim, which stays open to whoever has it', async () => {
    const claimed = await createIntegration();
    const wrong = makeOrganizationSecret(claimed.integrationId);
    const codes: string[] = [];
    for (let round = 1; round <= 61; round++) {
      const headers = { 'CF-Connecting-IP': `192.0.2.${round}` };
      const device = await newDevice(`GUESS000${round}`);
      const [, code = ''] = await refusalOf(await send(device, wrong, {}, headers));
      codes.push(String(code));
    }
    expect(codes.slice(-2)).toEqual(['enrollment_proof_invalid', 'enrollment_throttled']);
    expect((await send(await newDevice(), claimed)).status).toBe(201);
  });

  it('closes no device to whoever has the secret', async () => {
    const wrong = makeOrganizationSecret(secret.integrationId);
    const codes = new Set<string>();
    for (let round = 0; round < 70; round++) {
      const [, code = ''] = await refusalOf(await send(await newDevice(), wrong));
      codes.add(String(code));
    }
    expect(codes).toEqual(new Set(['enrollment_proof_invalid', 'enrollment_throttled']));
    expect((await send(await newDevice())).status).toBe(201);
  });
});
