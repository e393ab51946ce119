import { env, runInDurableObject } from 'cloudflare:test';
import { accessAnswer as accessOf, accessVersions } from '@countersign/policy';
import { accessAnswer, evaluationsAnswer } from '@countersign/protocol/authzen';
import { problemDocument } from '@countersign/protocol/problem';
import { logPage } from '@countersign/protocol/system-log';
import { sha256Base64url, type TestClient } from '@countersign/testkit/broker-client';
import { firstBrokenRow } from '@countersign/testkit/verify-chain';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { takeInRows } from '../../worker/src/audit/take-in-rows.ts';
import { DeviceObject } from '../../worker/src/device/device-object.ts';
import { DeviceShard } from '../../worker/src/device/device-shard.ts';
import { recordAccess } from '../../worker/src/device/record-access.ts';
import { OrganizationObject } from '../../worker/src/directory/organization-object.ts';
import { ringAlarm } from './test-alarms.ts';
import { broker } from './test-broker.ts';
import { countRowsWritten, inShard, shardCount, shardObject } from './test-objects.ts';
import { newUser } from './test-users.ts';

// Access inside of applications as administrators write it, and what asking about it costs and leaves behind.

let client: TestClient;
let path: string;
beforeEach(async () => {
  client = await broker.registerClient();
  path = `/v1/admin/applications/${client.application}/access`;
});
afterEach(() => {
  vi.restoreAllMocks();
});

const fresh = () => `group-${crypto.randomUUID().slice(0, 8)}`;
const accessFor = (people: object, more: object = {}) => ({
  access: {
    resource_types: [{ type: 'document', actions: ['read'] }],
    rules: [{ id: 'readers', when: { people }, effect: 'allow' }],
    ...more,
  },
});

async function put(body: object): Promise<number> {
  const response = await broker.admin('PUT', path, body);
  expect(response.status, await response.clone().text()).toBe(200);
  return ((await response.json()) as { organization_version: number }).organization_version;
}

async function refusalOf(response: Response) {
  const { status, code, field } = problemDocument.parse(await response.json());
  return [status, code, field].filter(Boolean);
}

const authorization = () => ({
  Authorization: `Basic ${btoa(`${client.clientId}:${client.clientSecret}`)}`,
});
const question = (user: string) => ({
  subject: { type: 'user', id: user },
  action: { name: 'read' },
  resource: { type: 'document', id: 'page' },
});
const ask = (user: string) => broker.post('/access/v1/evaluation', question(user), authorization());
const decisionOf = async (user: string) =>
  accessAnswer.parse(await (await ask(user)).json()).decision;

describe('what may be done inside of an application', () => {
  it('follows a group as its members change', async () => {
    const [group, user] = [fresh(), newUser()];
    const setGroup = (members: readonly string[]) =>
      broker.admin('PUT', `/v1/admin/groups/${group}`, { name: group, members });
    await setGroup([]);
    await put(accessFor({ groups: [group] }));
    expect(await decisionOf(user)).toBe(false);
    await setGroup([user]);
    expect(await decisionOf(user)).toBe(true);
    expect(await refusalOf(await broker.admin('DELETE', `/v1/admin/groups/${group}`))).toEqual([
      409,
      'group_in_use',
    ]);
    const shown = await (await broker.admin('GET', `/v1/admin/groups/${group}`)).json();
    expect(shown).toMatchObject({ applications: [client.application] });
    await put(accessFor({ except_groups: [group] }));
    expect(await decisionOf(user)).toBe(false);
    await put(accessFor({ users: [user] }));
    expect((await broker.admin('DELETE', `/v1/admin/groups/${group}`)).status).toBe(200);
  });

  it('tells who is denied where to read on, and nobody else', async () => {
    const learn_more_url = 'https://it.example.com/access';
    const user = newUser();
    await put(accessFor({ users: [user] }));
    await broker.admin('PUT', '/v1/admin/learn-more', { learn_more_url });
    const answered = async (who: string) => accessAnswer.parse(await (await ask(who)).json());
    expect(await answered(newUser())).toMatchObject({
      decision: false,
      context: { learn_more_url },
    });
    const allowed = await answered(user);
    expect(allowed.decision).toBe(true);
    expect(allowed.context).not.toHaveProperty('learn_more_url');
    await broker.admin('PUT', '/v1/admin/learn-more', { learn_more_url: '' });
    expect((await answered(newUser())).context).not.toHaveProperty('learn_more_url');
  });

  it('is kept in versions, and can be gone back to', async () => {
    const user = newUser();
    expect(await refusalOf(await broker.admin('GET', path))).toEqual([404, 'policy_not_found']);
    expect(await refusalOf(await broker.admin('GET', `${path}/versions`))).toEqual([
      404,
      'policy_not_found',
    ]);
    const first = await put({
      ...accessFor({ users: [user] }),
      expected_version: 0,
      comment: 'one',
    });
    const second = await put({ ...accessFor({ users: ['bob'] }), expected_version: first });
    const late = { ...accessFor({ users: ['eve'] }), expected_version: first };
    expect(await refusalOf(await broker.admin('PUT', path, late))).toEqual([
      409,
      'policy_version_conflict',
    ]);
    expect(await decisionOf(user)).toBe(false);
    const older = accessOf.parse(
      await (await broker.admin('GET', `${path}?version=${first}`)).json(),
    );
    expect(older).toMatchObject({ author: 'owner', comment: 'one', access: { version: first } });
    const { version: _, ...access } = older.access;
    const third = await put({ access, expected_version: second });
    expect(await decisionOf(user)).toBe(true);
    const again = await broker.admin('PUT', path, { access });
    expect(await again.json()).toMatchObject({ changed: false, organization_version: third });
    const listed = accessVersions.parse(
      await (await broker.admin('GET', `${path}/versions`)).json(),
    );
    expect(listed.versions.map(({ version }) => version)).toEqual([third, second, first]);
    for (const version of ['0', 'x', '1.5']) {
      const wrong = await broker.admin('GET', `${path}?version=${version}`);
      expect(await refusalOf(wrong)).toEqual([400, 'field_invalid', 'version']);
    }
  });

  it('is not taken when it is wrong, and then nothing changes', async () => {
    const user = newUser();
    await put(accessFor({ users: [user] }));
    const refused: [object, string][] = [
      [accessFor({ groups: ['nobody-knows'] }), 'access.rules.0.when.people.groups'],
      [accessFor({ except_groups: ['nobody-knows'] }), 'access.rules.0.when.people.except_groups'],
      [
        accessFor({}, { resource_types: [], resources: [{ type: 'document', id: 'a' }] }),
        'access.resources.0.type',
      ],
      [accessFor({}, { otherwise: 'allow' }), 'access.otherwise'],
      [{ ...accessFor({}), expected_version: -1 }, 'expected_version'],
    ];
    for (const [body, field] of refused) {
      expect(await refusalOf(await broker.admin('PUT', path, body))).toEqual([
        400,
        'field_invalid',
        field,
      ]);
    }
    const nowhere = await broker.admin(
      'PUT',
      '/v1/admin/applications/nowhere/access',
      accessFor({}),
    );
    expect(await refusalOf(nowhere)).toEqual([404, 'application_not_found']);
    expect(await decisionOf(user)).toBe(true);
  });

  it('is of the first application of the client that has the type', async () => {
    const other = await broker.registerClient();
    const user = newUser();
    await put(accessFor({ users: ['nobody'] }));
    const otherPath = `/v1/admin/applications/${other.application}/access`;
    await broker.admin('PUT', otherPath, accessFor({ users: [user] }));
    const registerFor = async (applications: string[]) => {
      const { clientId } = client;
      const secret_sha256 = await sha256Base64url(client.clientSecret);
      await broker.putClient(clientId, {
        name: clientId,
        origins: [client.origin],
        applications,
        authentication: { method: 'client_secret', secret_sha256 },
      });
    };
    await registerFor([client.application, other.application]);
    expect(await decisionOf(user)).toBe(false);
    await registerFor([other.application, client.application]);
    expect(await decisionOf(user)).toBe(true);
  });
});

describe('what one request about access costs', () => {
  const spied = () => ({
    record: vi.spyOn(DeviceObject.prototype, 'recordAccess'),
    decide: vi.spyOn(DeviceObject.prototype, 'decide'),
    snapshot: vi.spyOn(OrganizationObject.prototype, 'snapshot'),
    users: vi.spyOn(OrganizationObject.prototype, 'listActiveUsers'),
  });
  const calls = (spies: ReturnType<typeof spied>) =>
    Object.entries(spies).flatMap(([name, { mock }]) => mock.calls.map(() => name));

  it('is one call of one object, for one evaluation and for many', async () => {
    await put(accessFor({ users: ['ada'] }));
    const spies = spied();
    expect(await decisionOf('ada')).toBe(true);
    expect(calls(spies)).toEqual(['record']);
    const evaluations = ['ada', 'bob', 'eve'].map((user) => question(user));
    const response = await broker.post('/access/v1/evaluations', { evaluations }, authorization());
    const answer = evaluationsAnswer.parse(await response.json());
    expect(answer.evaluations.map(({ decision }) => decision)).toEqual([true, false, false]);
    expect(calls(spies)).toEqual(['record', 'record']);
    const resource = { type: 'document' };
    await broker.post(
      '/access/v1/search/resource',
      { ...question('ada'), resource },
      authorization(),
    );
    expect(calls(spies)).toEqual(['record', 'record']);
  });

  const evaluation = {
    subject_type: 'user',
    subject: 'ada',
    action: 'read',
    resource_type: 'document',
    resource: 'page',
    application: 'crm',
    policy_version: 1,
    decision: true,
    reason: 'access_allowed',
    rule: 'readers',
  };
  const entry = (count: number, readAtMs = Date.now()) => ({
    clientId: 'crm',
    organizationVersion: 2,
    readAtMs,
    evaluations: Array.from({ length: count }, () => evaluation),
  });

  it('is two rows, however many evaluations it asks for', async () => {
    const written = await inShard(0, (_, { storage }) => {
      const { sql, rowsWritten } = countRowsWritten(storage.sql);
      return storage.transactionSync(() => {
        const shard = new DeviceShard(storage, shardCount);
        const rowsOf = (count: number) => {
          shard.runBlock(sql, (block) =>
            recordAccess(Object.assign(block, { shard: 0 }), entry(count)),
          );
          return rowsWritten();
        };
        const counts = [rowsOf(1), rowsOf(100)];
        // Beside the object, whose head would not know of them.
        sql.exec(
          'DELETE FROM decisions WHERE sequence > (SELECT MAX(sequence) - 2 FROM decisions)',
        );
        return counts;
      });
    });
    expect(written).toEqual([2, 2]);
  });

  it('is five rows of the system log later, and one for each batch, like a sign-in', async () => {
    const record = JSON.stringify({
      v: 1,
      kind: 'access',
      shard: 0,
      sequence: 1,
      recorded_at_ms: Date.now(),
      id: 'A'.repeat(22),
      client_id: 'crm',
      organization_version: 2,
      evaluations: [evaluation, evaluation],
    });
    const report = env.REPORT.get(env.REPORT.idFromName('report'));
    const written = await runInDurableObject(report, (_, { storage }) => {
      const { sql, rowsWritten } = countRowsWritten(storage.sql);
      const rows = [{ sequence: 1, record, hash: new Uint8Array(32) }];
      takeInRows(sql, { chain: 'cost-a', start: undefined, after: 0, rows }, 0, 0);
      const written = rowsWritten();
      storage.sql.exec("DELETE FROM events WHERE chain = 'cost-a'");
      storage.sql.exec("DELETE FROM chains WHERE chain = 'cost-a'");
      return written;
    });
    expect(written).toBe(6);
  });

  it('is refused where what it rests on may have been changed since', async () => {
    const old = Date.now() - 10_001;
    expect(await shardObject(0).recordAccess(0, entry(1, old))).toEqual({ kind: 'needs_snapshot' });
    expect(await shardObject(0).recordAccess(0, entry(1))).toMatchObject({ kind: 'recorded' });
  });

  it('is 503, and no decision, where it cannot be recorded', async () => {
    await put(accessFor({ users: ['ada'] }));
    vi.spyOn(DeviceObject.prototype, 'recordAccess').mockResolvedValue({
      ok: false,
      code: 'storage_unavailable',
    });
    expect(await refusalOf(await ask('ada'))).toEqual([503, 'storage_unavailable']);
    const many = { ...question('ada'), evaluations: [{}, {}] };
    const response = await broker.post('/access/v1/evaluations', many, authorization());
    expect(await refusalOf(response)).toEqual([503, 'storage_unavailable']);
  });
});

describe('what was answered about access', () => {
  it('is in the chain, and in the system log', async () => {
    const user = newUser();
    await put(accessFor({ users: [user] }));
    const response = await broker.post(
      '/access/v1/evaluations',
      { ...question(user), evaluations: [{}, { resource: { type: 'folder', id: 'x' } }] },
      authorization(),
    );
    const { evaluations } = evaluationsAnswer.parse(await response.json());
    const [id] = evaluations.flatMap(({ context }) =>
      'decision_id' in context ? [context.decision_id] : [],
    );
    const [shard = 0, sequence] = (id ?? '').split('.').map(Number);
    const { rows, head, start } = await broker.decisions(shard);
    expect(firstBrokenRow(rows, head, start)).toBeUndefined();
    expect(rows.find((row) => row.sequence === sequence)?.record).toContain(`"subject":"${user}"`);
    await ringAlarm(shardObject(shard));
    const found = async () => {
      const query = `event_type=user.access.evaluate&user=${user}`;
      const page = await broker.admin('GET', `/v1/admin/log?${query}`);
      return logPage.parse(await page.json()).events;
    };
    await expect.poll(found, { timeout: 20_000 }).toMatchObject([
      {
        outcome: { result: 'FAILURE', reason: 'resource_type_unknown' },
        actor: { type: 'user', id: user },
        debugContext: {
          debugData: {
            client_id: client.clientId,
            evaluations: '2',
            denied: '1',
            evaluation_0: `user ${user}, read, document page: allowed, access_allowed, rule readers`,
            evaluation_1: `user ${user}, read, folder x: denied, resource_type_unknown, rule none`,
          },
        },
        record: { chain: String(shard), sequence },
      },
    ]);
  });
});
