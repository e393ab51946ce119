import { encodeBase64url } from '@countersign/protocol';
import { issuerList } from '@countersign/protocol/admin-access';
import { randomText, sha256Base64url } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import * as z from 'zod/mini';
import { createAdmin, createIntegration, inventoryFile } from './test-administration.ts';
import { broker } from './test-broker.ts';
import { newName } from './test-directory.ts';
import { sqlInOrganization } from './test-jobs.ts';
import { shardOf, sqlInShard } from './test-objects.ts';
import { newUser } from './test-users.ts';

/** Each change that an administrator can make, made once. */

export const someId = () =>
  `t${randomText(8)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, '')}`;
export const application = { name: 'CRM', enforcement: 'enforce' };
export const put = (path: string, body: unknown) => broker.admin('PUT', path, body);
export const post = (path: string, body?: unknown) => broker.admin('POST', path, body);
export const remove = (path: string) => broker.admin('DELETE', path);

const patch = (path: string, value: object) =>
  broker.admin('PATCH', path, { Operations: [{ op: 'replace', value }] });

async function made(response: Response, kind: string): Promise<string> {
  const { id } = z.object({ id: z.string() }).parse(await response.json());
  return `/scim/v2/${kind}/${id}`;
}
const newPerson = async () => made(await post('/scim/v2/Users', { userName: newName() }), 'Users');
const newTeam = async () =>
  made(await post('/scim/v2/Groups', { displayName: newName() }), 'Groups');

export const newIntegration = async () => (await createIntegration()).integration.integration_id;

export async function newGroup(): Promise<string> {
  const id = someId();
  await put(`/v1/admin/groups/${id}`, { name: 'Pilot', members: ['ada'] });
  return id;
}

export async function enrolledDevice(): Promise<FakeDevice> {
  const device = await FakeDevice.create();
  await broker.enroll(device);
  return device;
}

export async function certificatePathOf(device: FakeDevice): Promise<string> {
  const sha256 = await crypto.subtle.digest('SHA-256', Uint8Array.from(device.certificate ?? []));
  const fingerprint = encodeBase64url(new Uint8Array(sha256));
  return `/v1/admin/devices/${device.deviceId}/certificates/${fingerprint}`;
}

const certificatePath = async () => await certificatePathOf(await enrolledDevice());

const streamInput = { name: 'SIEM', url: 'https://siem.example.com/in', from: 'now' };
const streamPath = '/v1/admin/log-streams';

const createStream = () => post(streamPath, streamInput);

async function streamIn(response: Response): Promise<string> {
  const { stream } = z
    .object({ stream: z.object({ stream_id: z.string() }) })
    .parse(await response.json());
  return `${streamPath}/${stream.stream_id}`;
}

export async function onlyIssuer(): Promise<string> {
  const response = await broker.admin('GET', '/v1/admin/issuers');
  const [issuer] = issuerList.parse(await response.json()).issuers;
  return issuer?.issuer_id ?? '';
}

/** Has another issuer issue, as after a rollover; `undefined` takes it back. */
export const letIssue = (issuerId: string | undefined) =>
  issuerId === undefined
    ? sqlInOrganization("DELETE FROM settings WHERE name = 'issuers'")
    : sqlInOrganization(
        "INSERT OR REPLACE INTO settings (name, value) VALUES ('issuers', ?)",
        JSON.stringify({ issuing: issuerId, retired: [] }),
      );

/** Makes the change of each route once. */
export const changes: Readonly<Record<string, () => Promise<Response>>> = {
  'PUT /v1/admin/applications/:id': () => put(`/v1/admin/applications/${someId()}`, application),
  'PUT /v1/admin/clients/:id': async () =>
    put(`/v1/admin/clients/${someId()}`, {
      name: 'SSO',
      origins: ['https://sso.example.com'],
      applications: [(await broker.registerClient()).application],
      authentication: {
        method: 'client_secret',
        secret_sha256: await sha256Base64url('secret'),
      },
    }),
  'POST /v1/admin/enrollment-tokens': async () =>
    post('/v1/admin/enrollment-tokens', {
      hardware_id: (await FakeDevice.create()).hardwareId,
      ttl_seconds: 60,
    }),
  'POST /v1/admin/devices/:id/revoke': async () => {
    const { deviceId } = await enrolledDevice();
    return await post(`/v1/admin/devices/${deviceId}/revoke`, {
      reason: 'unspecified',
      block: 'lost',
    });
  },
  'POST /v1/admin/devices/:id/unblock': async () => {
    const { deviceId } = await enrolledDevice();
    const blocked = { reason: 'unspecified', block: 'lost' };
    await post(`/v1/admin/devices/${deviceId}/revoke`, blocked);
    return await post(`/v1/admin/devices/${deviceId}/unblock`);
  },
  'POST /v1/admin/devices/:id/certificates/:sha256/revoke': async () =>
    post(`${await certificatePath()}/revoke`, { reason: 'keyCompromise' }),
  'POST /v1/admin/devices/:id/certificates/:sha256/hold': async () =>
    post(`${await certificatePath()}/hold`),
  'POST /v1/admin/devices/:id/certificates/:sha256/release': async () => {
    const path = await certificatePath();
    await post(`${path}/hold`);
    return await post(`${path}/release`);
  },
  'POST /v1/admin/devices/:id/enrollment-approvals/:sha256': async () => {
    const { deviceId = '' } = await enrolledDevice();
    const spki = crypto.getRandomValues(new Uint8Array(32));
    await sqlInShard(
      shardOf(deviceId),
      'INSERT INTO enrollment_approvals (device_id, spki_sha256, requested_at_ms) VALUES (?, ?, ?)',
      deviceId,
      spki.buffer,
      Date.now(),
    );
    return await post(
      `/v1/admin/devices/${deviceId}/enrollment-approvals/${encodeBase64url(spki)}`,
    );
  },
  'PUT /v1/admin/users/:id': () => put(`/v1/admin/users/${newUser()}`, { active: false }),
  'POST /v1/admin/users/:id/revoke': () =>
    post(`/v1/admin/users/${newUser()}/revoke`, { reason: 'unspecified' }),
  'PUT /v1/admin/log/settings': () => put('/v1/admin/log/settings', { retention_days: 400 }),
  'POST /v1/admin/log/rebuild': () => post('/v1/admin/log/rebuild'),
  // None is left: it would be sent to.
  'POST /v1/admin/log-streams': async () => {
    const created = await createStream();
    await remove(await streamIn(created.clone()));
    return created;
  },
  'DELETE /v1/admin/log-streams/:id': async () => remove(await streamIn(await createStream())),
  'POST /v1/admin/log-streams/:id/resume': async () => {
    const path = await streamIn(await createStream());
    const resumed = await post(`${path}/resume`);
    await remove(path);
    return resumed;
  },
  'POST /v1/admin/admins': () => post('/v1/admin/admins', { name: 'Ada', role: 'help_desk' }),
  'PUT /v1/admin/admins/:id': async () => {
    const { id } = await createAdmin('help_desk');
    return await put(`/v1/admin/admins/${id}`, { name: 'Ada', role: 'read_only' });
  },
  'DELETE /v1/admin/admins/:id': async () => {
    const { id } = await createAdmin('help_desk');
    return await remove(`/v1/admin/admins/${id}`);
  },
  'POST /v1/admin/admins/:id/token': async () => {
    const { id } = await createAdmin('help_desk');
    return await post(`/v1/admin/admins/${id}/token`, {});
  },
  'PUT /v1/admin/mode': async () => {
    await put('/v1/admin/mode', { read_only: true });
    return await put('/v1/admin/mode', { read_only: false });
  },
  'PUT /v1/admin/device-trust': async () => {
    await put('/v1/admin/device-trust', { enabled: false, override: true });
    return await put('/v1/admin/device-trust', { enabled: true });
  },
  'POST /v1/admin/integrations': () => post('/v1/admin/integrations', inventoryFile),
  'PUT /v1/admin/integrations/:id': async () =>
    put(`/v1/admin/integrations/${await newIntegration()}`, { ...inventoryFile, name: 'Renamed' }),
  'DELETE /v1/admin/integrations/:id': async () =>
    remove(`/v1/admin/integrations/${await newIntegration()}`),
  'POST /v1/admin/integrations/:id/secret': async () =>
    post(`/v1/admin/integrations/${await newIntegration()}/secret`),
  'PUT /v1/admin/integrations/:id/state': async () =>
    put(`/v1/admin/integrations/${await newIntegration()}/state`, { state: { mode: 'all_users' } }),
  'POST /v1/admin/integrations/:id/webhook-secret': async () =>
    post(`/v1/admin/integrations/${await newIntegration()}/webhook-secret`),
  'POST /v1/admin/integrations/:id/test-credentials': async () =>
    post(`/v1/admin/integrations/${await newIntegration()}/test-credentials`),
  'PUT /v1/admin/integrations/:id/inventory': async () =>
    broker.request(`/v1/admin/integrations/${await newIntegration()}/inventory`, {
      method: 'PUT',
      headers: {
        Authorization: `Bearer ${(await createAdmin('administrator')).token}`,
        'Content-Type': 'text/csv',
      },
      body: 'serial_number,hardware_uuid,user\nC02ABC123,,\n',
    }),
  'PUT /v1/admin/global-policy': async () => {
    const rule = { id: 'trusted', when: { device_trust: 'trusted' }, effect: 'allow' };
    const policy = { enforcement: 'enforce', rules: [rule], otherwise: 'deny' };
    return await put('/v1/admin/global-policy', { policy, comment: someId() });
  },
  'PUT /v1/admin/learn-more': () =>
    put('/v1/admin/learn-more', { learn_more_url: `https://it.example.com/${someId()}` }),
  'PUT /v1/admin/applications/:id/fail-open': async () => {
    const id = someId();
    await put(`/v1/admin/applications/${id}`, application);
    const path = `/v1/admin/applications/${id}/fail-open`;
    return await put(path, { enabled: true, accept_untrusted_devices: true });
  },
  'PUT /v1/admin/applications/:id/policy': async () => {
    const id = someId();
    await put(`/v1/admin/applications/${id}`, application);
    const policy = { enforcement: 'enforce', rules: [], otherwise: 'deny' };
    return await put(`/v1/admin/applications/${id}/policy`, { policy });
  },
  'PUT /v1/admin/applications/:id/access': async () => {
    const id = someId();
    await put(`/v1/admin/applications/${id}`, application);
    return await put(`/v1/admin/applications/${id}/access`, {
      access: { resource_types: [{ type: 'record', actions: ['read'] }], rules: [] },
    });
  },
  'PUT /v1/admin/zones/:id': () =>
    put(`/v1/admin/zones/${someId()}`, { name: 'Office', blocks: ['192.0.2.0/24'] }),
  'DELETE /v1/admin/zones/:id': async () => {
    const id = someId();
    await put(`/v1/admin/zones/${id}`, { name: 'Office', blocks: ['192.0.2.0/24'] });
    return await remove(`/v1/admin/zones/${id}`);
  },
  'PUT /v1/admin/groups/:id': () =>
    put(`/v1/admin/groups/${someId()}`, { name: 'Pilot', members: ['ada'] }),
  'DELETE /v1/admin/groups/:id': async () => remove(`/v1/admin/groups/${await newGroup()}`),
  'PUT /v1/admin/directory': async () => {
    await put('/v1/admin/directory', { period_seconds: 3600 });
    return await put('/v1/admin/directory', {});
  },
  'POST /v1/admin/directory/resume': () => post('/v1/admin/directory/resume', {}),
  'PUT /v1/admin/directory/import': () =>
    put('/v1/admin/directory/import', { users: [{ user_name: newName() }] }),
  'POST /scim/v2/Users': () => post('/scim/v2/Users', { userName: newName() }),
  'PUT /scim/v2/Users/:id': async () =>
    put(await newPerson(), { userName: newName(), active: true }),
  'PATCH /scim/v2/Users/:id': async () => patch(await newPerson(), { active: false }),
  'DELETE /scim/v2/Users/:id': async () => remove(await newPerson()),
  'POST /scim/v2/Groups': () => post('/scim/v2/Groups', { displayName: newName() }),
  'PUT /scim/v2/Groups/:id': async () => put(await newTeam(), { displayName: newName() }),
  'PATCH /scim/v2/Groups/:id': async () => patch(await newTeam(), { displayName: newName() }),
  'DELETE /scim/v2/Groups/:id': async () => remove(await newTeam()),
  'POST /v1/admin/issuers/:id/activate': async () =>
    post(`/v1/admin/issuers/${await onlyIssuer()}/activate`, {}),
  'POST /v1/admin/issuers/:id/retire': async () => {
    const id = await onlyIssuer();
    await letIssue('A'.repeat(43));
    const retired = await post(`/v1/admin/issuers/${id}/retire`, { override: true });
    await letIssue(undefined);
    return retired;
  },
};
