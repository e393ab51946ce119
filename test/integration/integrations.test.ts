import { env } from 'cloudflare:test';
import {
  type IntegrationRequest,
  integrationAnswer,
  integrationChangeAnswer,
  integrationImpact,
  inUseProblem,
  webhookSecretAnswer,
} from '@countersign/protocol/admin-integrations';
import { sha256Base64url, type TestClient } from '@countersign/testkit/broker-client';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { readStoredGroups } from '../../worker/src/directory/group-versions.ts';
import { groupsOnTrial, readIntegrations } from '../../worker/src/directory/integration-records.ts';
import { openSecret } from '../../worker/src/storage/sealed-secret.ts';
import {
  answerOf,
  createIntegration,
  eventCount,
  eventsAfter,
  expectRefusal,
  inventoryFile,
  issuedThrough,
  setState,
} from './test-administration.ts';
import { broker } from './test-broker.ts';
import { sqlInOrganization } from './test-jobs.ts';
import { organizationObject, runInOrganization } from './test-objects.ts';
import { enrolledInShard, newUser } from './test-users.ts';

// The life of a management integration: disabled, on trial, for all, deleted.

let client: TestClient;
beforeAll(async () => {
  client = await broker.registerClient();
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const jamf: IntegrationRequest = {
  name: 'Jamf',
  connection: {
    kind: 'jamf_pro',
    tenant_url: 'https://example.jamfcloud.com',
    authentication: { method: 'client_credentials', client_id: 'countersign' },
  },
  credentials: { secret: 'correct horse battery staple' },
};

const decisionOf = async (device: FakeDevice, user: string) => {
  const { decision, context } = await broker.signIn(client, device, user);
  return [decision, context.reason_code];
};

describe('a new integration', () => {
  it('is disabled, and shows its organization secret this once', async () => {
    const before = await eventCount();
    const { integration, organization_secret, scripts } = await createIntegration(jamf);
    expect(integration).toMatchObject({
      state: { mode: 'disabled' },
      kind: 'jamf_pro',
      trust_shared_secret: false,
      outage: 'refuse',
      has_credentials: true,
    });
    expect(organization_secret).toMatch(
      new RegExp(`^cses_${integration.integration_id}_[A-Za-z0-9_-]{43}$`),
    );
    expect(scripts.posix).toContain(`secret='${organization_secret}'`);
    expect(scripts.posix).toContain(`broker='${env.BROKER_URL}'`);
    expect(scripts.windows).toContain(organization_secret);
    const shown = await broker.admin('GET', `/v1/admin/integrations/${integration.integration_id}`);
    expect(await shown.json()).toEqual(integration);
    expect(await eventsAfter(before)).toMatchObject([
      {
        event_type: 'admin.integration.create',
        actor: { type: 'admin', id: 'owner' },
        integration_id: integration.integration_id,
      },
    ]);
  });

  it('#51 leaves no secret in what is stored, or answered later', async () => {
    const { integration, organization_secret } = await createIntegration(jamf);
    const id = integration.integration_id;
    const scalar = organization_secret.slice(-43);
    const rows = JSON.stringify([
      await sqlInOrganization('SELECT * FROM integrations'),
      await sqlInOrganization('SELECT record FROM decisions'),
    ]);
    for (const secret of [scalar, 'battery staple']) expect(rows).not.toContain(secret);
    const scripts = await broker.admin('GET', `/v1/admin/integrations/${id}/scripts`);
    const text = await scripts.text();
    expect(text).toContain('PASTE_THE_ORGANIZATION_SECRET_HERE');
    expect(text).not.toContain(scalar);
    const found = await organizationObject().findIntegration(id);
    if (!found.ok) throw new Error(found.code);
    expect(found.sealedCredentials).toMatch(/^v1\./);
    const otherKey = await crypto.subtle.importKey('raw', new Uint8Array(32), 'AES-GCM', false, [
      'decrypt',
    ]);
    const context = `integration-credentials/${id}`;
    expect(await openSecret(otherKey, context, found.sealedCredentials ?? '')).toBeUndefined();
  });

  it.each<[string, object, string]>([
    ['of no kind', { ...jamf, connection: { kind: 'sccm' } }, 'connection.kind'],
    ['without credentials', { name: 'Jamf', connection: jamf.connection }, 'credentials'],
    [
      'at the address of an API',
      { ...jamf, connection: { ...jamf.connection, tenant_url: 'https://a.jamfcloud.com/api' } },
      'connection.tenant_url',
    ],
    [
      'at a private address',
      { ...jamf, connection: { ...jamf.connection, tenant_url: 'https://10.0.0.1' } },
      'connection.tenant_url',
    ],
    [
      'without TLS',
      { ...jamf, connection: { ...jamf.connection, tenant_url: 'http://a.jamfcloud.com' } },
      'connection.tenant_url',
    ],
    ['with a state', { ...inventoryFile, state: { mode: 'all_users' } }, 'state'],
    ['of a profile of its own', { ...inventoryFile, profile: '2y' }, 'profile'],
    [
      'with credentials for a file',
      { ...inventoryFile, credentials: { secret: 'x' } },
      'credentials',
    ],
  ])('is refused %s', async (_, input, field) => {
    const before = await eventCount();
    const response = await broker.admin('POST', '/v1/admin/integrations', input);
    const { document } = await expectRefusal(response, 400, 'field_invalid');
    expect(document.field).toBe(field);
    expect(await eventCount()).toBe(before);
  });
});

describe('a change of an integration', () => {
  const change = (id: string, body: object) =>
    broker.admin('PUT', `/v1/admin/integrations/${id}`, body);

  it('keeps what it does not name, and is no change the second time', async () => {
    const { integration } = await createIntegration(jamf);
    const id = integration.integration_id;
    const { credentials: _, ...settings } = { ...jamf, profile: '7d' as const };
    const sealed = () =>
      sqlInOrganization('SELECT sealed_credentials FROM integrations WHERE integration_id = ?', id);
    const before = await sealed();
    const first = await answerOf(await change(id, settings), integrationChangeAnswer);
    expect(first).toMatchObject({ changed: true, integration: { profile: '7d', version: 2 } });
    expect(await sealed()).toEqual(before);
    const second = await answerOf(await change(id, settings), integrationChangeAnswer);
    expect(second).toMatchObject({ changed: false, integration: { version: 2 } });
    expect(second.organization_version).toBe(first.organization_version);
  });

  it('#62 sends stored credentials to no other address', async () => {
    const { integration } = await createIntegration(jamf);
    const id = integration.integration_id;
    const elsewhere = { ...jamf.connection, tenant_url: 'https://attacker.jamfcloud.com' };
    const { credentials, ...settings } = { ...jamf, connection: elsewhere };
    const { document } = await expectRefusal(await change(id, settings), 400, 'field_invalid');
    expect(document.field).toBe('credentials');
    const changed = await answerOf(
      await change(id, { ...settings, credentials }),
      integrationChangeAnswer,
    );
    expect(changed.integration.connection).toEqual(elsewhere);
  });

  it('makes it none of another kind', async () => {
    const { integration } = await createIntegration(jamf);
    const response = await change(integration.integration_id, inventoryFile);
    const { document } = await expectRefusal(response, 400, 'field_invalid');
    expect(document.field).toBe('connection.kind');
  });

  it('is refused for one that is not there', async () => {
    const nobody = `int_${'A'.repeat(22)}`;
    await expectRefusal(await change(nobody, inventoryFile), 404, 'integration_not_found');
    await expectRefusal(
      await setState(nobody, { mode: 'all_users' }),
      404,
      'integration_not_found',
    );
    for (const path of ['secret', 'webhook-secret']) {
      const response = await broker.admin('POST', `/v1/admin/integrations/${nobody}/${path}`);
      await expectRefusal(response, 404, 'integration_not_found');
    }
    const deleted = await broker.admin('DELETE', `/v1/admin/integrations/${nobody}`);
    await expectRefusal(deleted, 404, 'integration_not_found');
  });

  it('of the secret ends the one before at once', async () => {
    const { integration, organization_secret } = await createIntegration();
    const path = `/v1/admin/integrations/${integration.integration_id}/secret`;
    const answer: unknown = await (await broker.admin('POST', path)).json();
    expect(answer).toMatchObject({ organization_secret: expect.stringMatching(/^cses_int_/) });
    expect(JSON.stringify(answer)).not.toContain(organization_secret);
    const snapshot = await organizationObject().findIntegration(integration.integration_id);
    if (!snapshot.ok) throw new Error(snapshot.code);
    expect(snapshot.integration.secret?.secret_id).not.toBe(integration.secret?.secret_id);
  });

  it("of the webhooks' secret stores its SHA-256", async () => {
    const { integration } = await createIntegration();
    const id = integration.integration_id;
    const path = `/v1/admin/integrations/${id}/webhook-secret`;
    const answer = await answerOf(await broker.admin('POST', path), webhookSecretAnswer);
    const found = await organizationObject().findIntegration(id);
    if (!found.ok) throw new Error(found.code);
    expect(found.integration.webhook_secret_sha256).toBe(
      await sha256Base64url(answer.webhook_secret),
    );
  });
});

describe('states', () => {
  it('certificates count for nobody, then for test groups, then for all', async () => {
    const { integration } = await createIntegration();
    const id = integration.integration_id;
    const [pilot, other] = [newUser(), newUser()];
    const group = `g-${id
      .slice(4, 12)
      .toLowerCase()
      .replaceAll(/[^a-z0-9]/g, '')}`;
    const put = (members: string[]) =>
      broker.admin('PUT', `/v1/admin/groups/${group}`, { name: 'Pilot', members });
    const [device, second] = [await enrolledInShard(1), await enrolledInShard(2)];
    for (const each of [device, second]) await issuedThrough(each, id);

    expect(await decisionOf(device, pilot)).toEqual([false, 'integration_disabled']);
    await expectRefusal(
      await setState(id, { mode: 'test_groups', groups: [group] }),
      404,
      'group_not_found',
    );
    expect((await put([pilot])).status).toBe(200);
    const onTrial = await answerOf(
      await setState(id, { mode: 'test_groups', groups: [group] }),
      integrationChangeAnswer,
    );
    expect(onTrial.takes_effect?.live_certificates).toBe(2);
    expect(onTrial.takes_effect?.applications).toContainEqual({
      application_id: client.application,
      name: client.application,
      enforcement: 'enforce',
      other_devices: 'deny',
    });
    expect(await decisionOf(device, pilot)).toEqual([true, 'trusted_device']);
    expect(await decisionOf(second, other)).toEqual([false, 'integration_not_for_user']);

    expect((await put([pilot, other])).status).toBe(200);
    expect(await decisionOf(second, other)).toEqual([true, 'trusted_device']);
    expect((await put([pilot])).status).toBe(200);
    expect(await decisionOf(second, other)).toEqual([false, 'integration_not_for_user']);
    const removed = await broker.admin('DELETE', `/v1/admin/groups/${group}`);
    await expectRefusal(removed, 409, 'group_in_use');

    expect((await setState(id, { mode: 'all_users' })).status).toBe(200);
    expect(await decisionOf(second, other)).toEqual([true, 'trusted_device']);
    expect((await broker.admin('DELETE', `/v1/admin/groups/${group}`)).status).toBe(200);
  });

  it('switching off says what would break, and does it when told to all the same', async () => {
    const { integration } = await createIntegration();
    const id = integration.integration_id;
    const user = newUser();
    const device = await enrolledInShard(3);
    await issuedThrough(device, id);
    await setState(id, { mode: 'all_users' });
    expect(await decisionOf(device, user)).toEqual([true, 'trusted_device']);

    const before = await eventCount();
    const refusals = [
      await setState(id, { mode: 'disabled' }),
      await broker.admin('DELETE', `/v1/admin/integrations/${id}`),
      await broker.admin('DELETE', `/v1/admin/integrations/${id}?override=false`),
    ];
    for (const refused of refusals) {
      const { problem } = await expectRefusal(refused, 409, 'integration_in_use');
      const { impact } = inUseProblem.parse(problem);
      const affected = { live_certificates: 1, bound_certificates: 1, affected_users: 1 };
      expect(impact).toMatchObject(affected);
      expect(impact.steps).toHaveLength(3);
      expect(impact.steps[0]).toContain(client.application);
    }
    const malformed = await broker.admin('DELETE', `/v1/admin/integrations/${id}?override=1`);
    await expectRefusal(malformed, 400, 'field_invalid');
    expect(await eventCount()).toBe(before);
    expect(await decisionOf(device, user)).toEqual([true, 'trusted_device']);

    expect((await setState(id, { mode: 'disabled' }, true)).status).toBe(200);
    expect(await decisionOf(device, user)).toEqual([false, 'integration_disabled']);
    expect(await eventsAfter(before)).toMatchObject([
      { event_type: 'admin.integration.set_state', debug_data: { override: 'true' } },
    ]);
    const impact = await broker.admin('GET', `/v1/admin/integrations/${id}/impact`);
    expect(await answerOf(impact, integrationImpact)).toMatchObject({ live_certificates: 1 });
    const again = await answerOf(
      await setState(id, { mode: 'all_users' }),
      integrationChangeAnswer,
    );
    expect(again.takes_effect).toMatchObject({ live_certificates: 1, bound_certificates: 1 });
    expect(await decisionOf(device, user)).toEqual([true, 'trusted_device']);
  });

  it('the secret that devices were enrolled with is distrusted while they sign in only when told to', async () => {
    const trusting = { ...inventoryFile, trust_shared_secret: true };
    const { integration } = await createIntegration(trusting);
    const id = integration.integration_id;
    const change = (body: object) => broker.admin('PUT', `/v1/admin/integrations/${id}`, body);
    const device = await enrolledInShard(2);
    await issuedThrough(device, id);
    await setState(id, { mode: 'all_users' });

    const before = await eventCount();
    await expectRefusal(await change(inventoryFile), 409, 'integration_in_use');
    expect(await eventCount()).toBe(before);
    expect((await change({ ...trusting, name: 'Depot' })).status).toBe(200);
    const changed = await answerOf(
      await change({ ...inventoryFile, override: true }),
      integrationChangeAnswer,
    );
    expect(changed.integration.trust_shared_secret).toBe(false);
    const updates = (await eventsAfter(before)).map(({ debug_data }) => debug_data.override);
    expect(updates).toEqual([undefined, 'true']);
    expect((await change(inventoryFile)).status).toBe(200);
    await setState(id, { mode: 'disabled' }, true);
  });

  it('a trial that leaves out a group says what would break; one with more groups needs no override', async () => {
    const { integration } = await createIntegration();
    const id = integration.integration_id;
    const device = await enrolledInShard(3);
    await issuedThrough(device, id);
    const trial = (...groups: string[]) => ({ mode: 'test_groups', groups }) as const;
    for (const group of ['first', 'second']) {
      await broker.admin('PUT', `/v1/admin/groups/${group}`, { name: group, members: [] });
    }
    expect((await setState(id, trial('first'))).status).toBe(200);
    expect((await setState(id, trial('first', 'second'))).status).toBe(200);
    await expectRefusal(await setState(id, trial('second')), 409, 'integration_in_use');
    expect((await setState(id, trial('second'), true)).status).toBe(200);
    await setState(id, { mode: 'disabled' }, true);
  });

  it('a snapshot has the members of groups on trial, and of no others', async () => {
    const { integration } = await createIntegration();
    const members = Array.from({ length: 2000 }, (_, index) => `member-${index}`);
    const put = (id: string, users: readonly string[]) =>
      broker.admin('PUT', `/v1/admin/groups/${id}`, { name: id, members: users });
    expect((await put('everybody', members)).status).toBe(200);
    expect((await put('few', ['ada'])).status).toBe(200);
    await setState(integration.integration_id, { mode: 'test_groups', groups: ['few'] });
    const groups = await runInOrganization(({ storage }) =>
      readStoredGroups(storage.sql, groupsOnTrial(readIntegrations(storage.sql).values()), {}),
    );
    expect(groups).toMatchObject([{ groupId: 'few', kind: 'whole', membersJson: '["ada"]' }]);
    await setState(integration.integration_id, { mode: 'disabled' });
  });

  it('switching off what nobody relies on needs no override', async () => {
    const { integration } = await createIntegration();
    const id = integration.integration_id;
    await setState(id, { mode: 'all_users' });
    const changed = await answerOf(
      await setState(id, { mode: 'disabled' }),
      integrationChangeAnswer,
    );
    expect(changed).toMatchObject({ changed: true, integration: { state: { mode: 'disabled' } } });
  });
});

it('lists integrations as they are', async () => {
  const { integration } = await createIntegration(jamf);
  const response = await broker.admin('GET', '/v1/admin/integrations');
  const body: unknown = await response.json();
  expect(body).toMatchObject({
    integrations: expect.arrayContaining([integrationAnswer.parse(integration)]),
  });
});
