// What administrators set up is there after a restart, and after an export and an import into other shards.
import { adminTokenAnswer } from '@countersign/protocol/admin-access';
import {
  groupAnswer,
  integrationAnswer,
  integrationDeletion,
  integrationSecretAnswer,
} from '@countersign/protocol/admin-integrations';
import { jobAnswer } from '@countersign/protocol/admin-users';
import { organizationEventPage } from '@countersign/protocol/system-log';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as z from 'zod/mini';
import { editDatabases } from '../support/backup-world.ts';
import { expectProblem } from '../support/expect-answer.ts';
import { BackupFolder } from '../support/server-command.ts';
import { TestBroker } from '../support/test-broker.ts';

const jamf = {
  name: 'Jamf',
  profile: '30d',
  connection: {
    kind: 'jamf_pro',
    tenant_url: 'https://example.jamfcloud.com',
    authentication: { method: 'client_credentials', client_id: 'countersign' },
  },
  credentials: { secret: 'correct horse' },
};

let origin: TestBroker;
let token: string;
/** The creation of the integration, as it was answered. */
let created: z.infer<typeof integrationSecretAnswer>;
let removed: z.infer<typeof integrationDeletion>;

const asAdmin = (broker: TestBroker, method: string, path: string, body?: unknown) =>
  broker.client.request(path, {
    method,
    headers: {
      Authorization: `Bearer ${token}`,
      'Idempotency-Key': 'create-jamf-1',
      'Content-Type': 'application/json',
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

async function read<Schema extends z.ZodMiniType>(response: Response, schema: Schema) {
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return schema.parse(await response.json());
}

beforeAll(async () => {
  origin = await TestBroker.start();
  const { client } = origin;
  const admin = await client.admin('POST', '/v1/admin/admins', {
    name: 'Grace',
    role: 'application_manager',
  });
  token = (await read(admin, adminTokenAnswer)).admin_token;
  created = await read(
    await asAdmin(origin, 'POST', '/v1/admin/integrations', jamf),
    integrationSecretAnswer,
  );
  await client.admin('PUT', '/v1/admin/groups/pilot', { name: 'Pilot', members: ['ada'] });
  const pilots = { id: 'pilots', when: { people: { groups: ['pilot'] } }, effect: 'deny' };
  await client.admin('PUT', '/v1/admin/global-policy', {
    policy: { enforcement: 'enforce', rules: [pilots], otherwise: 'deny' },
  });
  await client.admin('PUT', `/v1/admin/integrations/${created.integration.integration_id}/state`, {
    state: { mode: 'test_groups', groups: ['pilot'] },
  });
  await client.admin('PUT', '/v1/admin/directory', { max_removals: 7 });
  const imported = await client.admin('PUT', '/v1/admin/directory/import', {
    users: [
      { user_name: 'ada@dir.example', groups: ['Staff'] },
      { user_name: 'bob@dir.example', active: false },
    ],
  });
  if (!imported.ok) throw new Error(await imported.text());
  const file = { name: 'Old', connection: { kind: 'inventory_file' } };
  const old = await read(
    await client.admin('POST', '/v1/admin/integrations', file),
    integrationSecretAnswer,
  );
  removed = await read(
    await client.admin('DELETE', `/v1/admin/integrations/${old.integration.integration_id}`),
    integrationDeletion,
  );
});
afterAll(() => origin?.stopAndRemove());

async function expectSameAdministration(broker: TestBroker) {
  const id = created.integration.integration_id;
  const shown = await asAdmin(broker, 'GET', `/v1/admin/integrations/${id}`);
  expect(await read(shown, integrationAnswer)).toEqual({
    ...created.integration,
    version: 2,
    state: { mode: 'test_groups', groups: ['pilot'] },
  });
  const group = await asAdmin(broker, 'GET', '/v1/admin/groups/pilot');
  expect(await read(group, groupAnswer)).toEqual({
    group_id: 'pilot',
    name: 'Pilot',
    origin: 'administrator',
    members: ['ada'],
    integrations: [id],
    applications: [],
    in_global_policy: true,
  });
  const listed = await broker.client.admin('GET', '/scim/v2/Groups');
  expect(await listed.json()).toMatchObject({
    Resources: [{ id: 'staff', members: [{ display: 'ada@dir.example' }] }],
  });
  const people = await broker.client.admin('GET', '/scim/v2/Users');
  expect(await people.json()).toMatchObject({
    totalResults: 2,
    Resources: expect.arrayContaining([
      expect.objectContaining({ userName: 'ada@dir.example', active: true }),
      expect.objectContaining({ userName: 'bob@dir.example', active: false }),
    ]),
  });
  const directory = await broker.client.admin('GET', '/v1/admin/directory');
  expect(await directory.json()).toMatchObject({ max_removals: 7, users: { total: 2, active: 1 } });
  // The answer that was sealed opens, and with it everything else that is.
  const again = await asAdmin(broker, 'POST', '/v1/admin/integrations', jamf);
  expect(again.headers.get('Idempotency-Replayed')).toBe('true');
  expect(await read(again, integrationSecretAnswer)).toEqual(created);
  const gone = await asAdmin(broker, 'GET', `/v1/admin/integrations/${removed.integration_id}`);
  await expectProblem(gone, 404, 'integration_not_found');
  const forbidden = await asAdmin(broker, 'GET', '/v1/admin/state');
  await expectProblem(forbidden, 403, 'admin_forbidden');
}

describe('what administrators set up', () => {
  it('is there after a restart, and a deletion goes on', async () => {
    await origin.stop();
    await origin.startAgain();
    await expectSameAdministration(origin);
    await expect
      .poll(
        async () => {
          const job = await origin.client.admin('GET', `/v1/admin/jobs/${removed.job_id}`);
          const { shards, kind } = jobAnswer.parse(await job.json());
          return [kind, shards.reached === shards.total];
        },
        { timeout: 15_000 },
      )
      .toEqual(['integration', true]);
  });

  it('is there after an import into other shards, with the log of it', async () => {
    const folder = new BackupFolder();
    let broker: TestBroker | undefined;
    try {
      const exported = await folder.export(origin.dataDirectory);
      await origin.stop();
      const result = await folder.import(exported, 'into-3', '--shards', '3');
      expect(result).toMatchObject({ code: 0, errors: '' });
      const dataDirectory = folder.file('into-3');
      const buried: unknown[] = [];
      editDatabases(dataDirectory, 'countersign-device-v1', (database) => {
        buried.push(database.prepare('SELECT integration_id FROM integration_tombstones').all());
      });
      const row = { integration_id: removed.integration_id };
      expect(buried).toEqual([[row], [row], [row]]);
      broker = await origin.startOn(dataDirectory, 3);
      await expectSameAdministration(broker);
      const page = await broker.client.admin('GET', '/v1/admin/organization/events?limit=1000');
      const { events } = await read(page, organizationEventPage);
      expect(events[0]?.record).toContain('"admin.admin.create"');
      expect(events.at(-1)?.record).toContain('"admin.state.import"');
    } finally {
      await broker?.stop();
      folder.remove();
    }
  });
});
