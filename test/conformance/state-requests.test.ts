// The addresses behind export and import: what they refuse, and what an import that has not ended means.
import { statePage } from '@countersign/protocol/state';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { editDatabases } from '../support/backup-world.ts';
import { expectProblem } from '../support/expect-answer.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start();
  await broker.client.registerClient();
  await broker.client.putUser('eve', false);
});
afterAll(() => broker?.stopAndRemove());

it('rows that a request asks for are refused by the name of what is wrong', async () => {
  for (const [query, field] of [
    ['object=device&shard=99&section=devices', 'shard'],
    ['object=device&shard=0&section=keys', 'section'],
    ['object=device&shard=0&section=sqlite_master', 'section'],
    ['object=other&shard=0&section=devices', 'object'],
    ['object=device&shard=0&section=devices&after=!', 'after'],
    ['object=device&shard=0&section=decisions&through=-1', 'through'],
  ]) {
    const response = await broker.client.admin('GET', `/v1/admin/state/rows?${query}`);
    await expectProblem(response, 400, 'field_invalid', field);
  }
  const rows = '/v1/admin/state/rows?object=key&shard=0&section=keys';
  await expectProblem(await broker.client.request(rows), 401, 'admin_authentication_failed');
  statePage.parse(await (await broker.client.admin('GET', rows)).json());
});

it('an import into a broker in which something is stored changes nothing', async () => {
  const before = await broker.recordedDecisions();
  const begin = await broker.client.admin('POST', '/v1/admin/state/import', {
    import_id: 'A'.repeat(22),
    imports: 0,
    created_at: '2026-01-01T00:00:00Z',
    chains: [],
  });
  await expectProblem(begin, 409, 'import_refused');
  const rows = await broker.client.admin('POST', '/v1/admin/state/import/rows', {
    import_id: 'A'.repeat(22),
    object: 'organization',
    shard: 0,
    section: 'users',
    tables: { users: [{ user_id: 'eve', active: 1, epoch: 9, epoch_since_ms: 0 }] },
  });
  await expectProblem(rows, 409, 'import_refused');
  expect((await broker.client.user('eve')).active).toBe(false);
  expect(await broker.recordedDecisions()).toEqual(before);
});

it('an import that has not ended serves nothing, at this start and at the next', async () => {
  const empty = await TestBroker.start();
  try {
    const begin = await empty.client.admin('POST', '/v1/admin/state/import', {
      import_id: 'B'.repeat(22),
      imports: 0,
      created_at: '2026-01-01T00:00:00Z',
      chains: [],
    });
    expect(begin.status).toBe(200);
    await expectProblem(await empty.client.request('/healthz'), 503, 'import_incomplete');
    await expectProblem(
      await empty.client.admin('PUT', '/v1/admin/applications/a', {
        name: 'a',
        enforcement: 'enforce',
      }),
      503,
      'import_incomplete',
    );
    await empty.stop();
    await expect(empty.startAgain()).rejects.toMatchObject({
      message: expect.stringMatching(/import_incomplete/),
    });
    editDatabases(empty.dataDirectory, 'countersign-organization-v1', (database) =>
      database.exec('DELETE FROM imports'),
    );
    await empty.startAgain();
  } finally {
    await empty.stopAndRemove();
  }
});
