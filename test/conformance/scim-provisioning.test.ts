// A year of two identity providers, as each of them sends it: from the connection test to the one who leaves. Written
// after what Okta and Entra are documented and reported to send; never tried against their services.
import { adminTokenAnswer } from '@countersign/protocol/admin-access';
import { jobAnswer } from '@countersign/protocol/admin-users';
import type { TestClient } from '@countersign/testkit/broker-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { AdminDesk } from '../support/admin-command.ts';
import { expectDenied, expectStandardHeaders } from '../support/expect-answer.ts';
import { enrollDevice } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
let owner: AdminDesk;
let client: TestClient;
let token = '';
beforeAll(async () => {
  broker = await TestBroker.start();
  owner = new AdminDesk(broker.url, broker.server.ownerToken);
  client = await broker.client.registerClient();
  const created = await owner.answer(
    adminTokenAnswer,
    ...['admins', 'create', 'Directory', '--role', 'provisioner', '--days', '365'],
  );
  token = created.admin_token;
});
afterAll(async () => {
  owner?.remove();
  await broker?.stopAndRemove();
});

const progressName = 'urn:countersign:params:scim:schemas:1.0:Progress';
const resource = z.looseObject({
  id: z.string(),
  active: z.optional(z.boolean()),
  [progressName]: z.object({
    status: z.string(),
    jobs: z.optional(z.array(z.string())),
    completeAt: z.optional(z.string()),
  }),
});
const list = z.object({
  totalResults: z.int(),
  Resources: z.array(z.looseObject({ id: z.string() })),
});
const patchOp = ['urn:ietf:params:scim:api:messages:2.0:PatchOp'];

/** A request with the headers of an identity provider. */
async function send(
  headers: Readonly<Record<string, string>>,
  method: string,
  path: string,
  body?: object,
): Promise<Response> {
  const response = await broker.client.request(`/scim/v2${path}`, {
    method,
    headers: { Authorization: `Bearer ${token}`, ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  expectStandardHeaders(response);
  return response;
}

async function read<Schema extends z.ZodMiniType>(
  sent: Promise<Response>,
  status: number,
  schema: Schema,
): Promise<z.infer<Schema>> {
  const response = await sent;
  const text = await response.text();
  expect([response.status, text]).toEqual([status, text]);
  return schema.parse(JSON.parse(text));
}

/** Lets in the members of this group alone, and records it until the test has ended. */
async function letInOnly(group: string): Promise<void> {
  const policy = {
    enforcement: 'enforce',
    rules: [{ id: 'members', when: { people: { groups: [group] } }, effect: 'allow' }],
    otherwise: 'deny',
  };
  const path = `/v1/admin/applications/${client.application}/policy`;
  const response = await broker.client.admin('PUT', path, { policy });
  if (!response.ok) throw new Error(await response.text());
}

const snapshotAgeMs = 5_000;

/** Whom Okta ended, and the group that Entra took somebody out of: how far they are, the last test looks at. */
let ended: { readonly path: string; readonly jobs: readonly string[] | undefined };
let narrowed: { readonly path: string; readonly completeMs: number };

describe('Okta', () => {
  const okta = {
    'User-Agent': 'Okta SCIM Client 1.0.0',
    Accept: 'application/scim+json',
    'Content-Type': 'application/scim+json; charset=utf-8',
  };
  const userSchema = ['urn:ietf:params:scim:schemas:core:2.0:User'];
  let ada = '';
  let team = '';

  it('tests its connection', async () => {
    await read(send(okta, 'GET', '/Users?startIndex=1&count=2'), 200, list);
    await read(send(okta, 'GET', '/Groups?startIndex=1&count=100'), 200, list);
    const config = await send(okta, 'GET', '/ServiceProviderConfig');
    expect(await config.json()).toMatchObject({ patch: { supported: true } });
  });

  it('looks for a person, creates them, and writes the whole profile anew', async () => {
    const filter = encodeURIComponent('userName eq "ada@okta.example"');
    const query = `/Users?filter=${filter}&startIndex=1&count=100`;
    expect(await read(send(okta, 'GET', query), 200, list)).toMatchObject({ totalResults: 0 });
    const profile = {
      schemas: userSchema,
      userName: 'ada@okta.example',
      name: { givenName: 'Ada', familyName: 'Lovelace' },
      emails: [{ primary: true, value: 'ada@okta.example', type: 'work' }],
      displayName: 'Ada Lovelace',
      locale: 'en-US',
      externalId: '00ujl29u0le5T6Aj10h7',
      groups: [],
      password: '1mz050nq',
      active: true,
    };
    const created = await read(send(okta, 'POST', '/Users', profile), 201, resource);
    ada = created.id;
    expect(await read(send(okta, 'GET', query), 200, list)).toMatchObject({
      totalResults: 1,
      Resources: [{ id: ada }],
    });
    const again = await send(okta, 'POST', '/Users', profile);
    expect([again.status, await again.json()]).toMatchObject([409, { scimType: 'uniqueness' }]);
    // The template of a wizard's app sends PUT; what `active` was, a profile without it does not change.
    const { active: _, password: __, ...rest } = profile;
    const put = { ...rest, id: ada, title: 'Countess', meta: { resourceType: 'User' } };
    const changed = await read(send(okta, 'PUT', `/Users/${ada}`, put), 200, resource);
    expect(changed).toMatchObject({ id: ada, active: true });
  });

  it('pushes a group, and a policy lets its members in from then on', async () => {
    const group = {
      schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'],
      displayName: 'Okta Engineers',
      members: [{ value: ada, display: 'ada@okta.example' }],
    };
    team = (await read(send(okta, 'POST', '/Groups', group), 201, resource)).id;
    expect(team).toBe('okta-engineers');
    await letInOnly(team);
    const signIn = await broker.client.signIn(
      client,
      await enrollDevice(broker),
      'ada@okta.example',
    );
    expect(signIn.decision).toBe(true);
  });

  it('#66 deactivates who leaves: no sign-in, and their certificates end in every shard', async () => {
    const device = await enrollDevice(broker);
    expect((await broker.client.signIn(client, device, 'ada@okta.example')).decision).toBe(true);
    const off = { schemas: patchOp, Operations: [{ op: 'replace', value: { active: false } }] };
    const gone = await read(send(okta, 'PATCH', `/Users/${ada}`, off), 200, resource);
    expect(gone.active).toBe(false);
    expect(gone[progressName]).toMatchObject({ status: 'pending' });
    const denied = await broker.client.signIn(client, device, 'ada@okta.example');
    expectDenied(denied, 'subject_inactive');
    ended = { path: `/Users/${ada}`, jobs: gone[progressName].jobs };
  });

  it('removes a member and renames the group; what a policy names it cannot delete', async () => {
    const remove = { op: 'remove', path: `members[value eq "${ada}"]` };
    const only = await send(okta, 'PATCH', `/Groups/${team}`, {
      schemas: patchOp,
      Operations: [remove],
    });
    // The last one of a group that decides about sign-ins.
    expect([only.status, only.headers.get('Retry-After')]).toEqual([429, '3600']);
    expect(await owner.run('directory', 'show')).toMatchObject({
      code: 1,
      output: expect.stringMatching(/^group okta-engineers +\S+ +1$/m),
    });
    await owner.done('directory', 'resume', '--group', team);
    await read(
      send(okta, 'PATCH', `/Groups/${team}`, {
        schemas: patchOp,
        Operations: [remove, { op: 'replace', value: { id: team, displayName: 'Okta Staff' } }],
      }),
      200,
      resource,
    );
    const deleted = await send(okta, 'DELETE', `/Groups/${team}`);
    expect([deleted.status, await deleted.json()]).toMatchObject([409, { status: '409' }]);
  });
});

describe('Entra', () => {
  const entra = {
    Accept: 'application/scim+json',
    'Content-Type': 'application/scim+json; charset=utf-8',
  };
  const named = (name: string) => `${name}@entra.example`;
  const ids: Record<string, string> = {};
  let sales = '';
  let support = '';

  const patch = (path: string, ...Operations: object[]) =>
    send(entra, 'PATCH', path, { schemas: patchOp, Operations });

  it('tests its connection by asking for somebody who cannot be there', async () => {
    const filter = encodeURIComponent('userName eq "1a5f8b0c-0c53-4a05-a8d0-b2d2bd8e4a90"');
    const found = await read(send(entra, 'GET', `/Users?filter=${filter}`), 200, list);
    expect(found).toEqual({ totalResults: 0, Resources: [] });
  });

  it('creates people, and changes what it matches and maps', async () => {
    for (const name of ['bob', 'eve']) {
      const user = {
        schemas: [
          'urn:ietf:params:scim:schemas:core:2.0:User',
          'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User',
        ],
        externalId: name,
        userName: named(name),
        active: true,
        emails: [{ primary: true, type: 'work', value: named(name) }],
        meta: { resourceType: 'User' },
        name: { formatted: name, familyName: name, givenName: name },
        'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User': { department: 'Sales' },
        roles: [],
      };
      ids[name] = (
        await read(send(entra, 'POST', '/Users?aadOptscim062020', user), 201, resource)
      ).id;
    }
    const changed = await patch(
      `/Users/${ids.bob}`,
      { op: 'Replace', path: 'emails[type eq "work"].value', value: 'b@entra.example' },
      { op: 'Replace', path: 'name.familyName', value: 'Builder' },
      {
        op: 'Add',
        path: 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department',
        value: 'Works',
      },
    );
    expect(await changed.json()).toMatchObject({
      emails: [{ value: 'b@entra.example' }],
      name: { familyName: 'Builder' },
    });
  });

  it('creates groups without their members and adds these, asking without members', async () => {
    const create = async (displayName: string) => {
      const group = {
        schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'],
        externalId: `ext-${displayName}`,
        displayName,
        meta: { resourceType: 'Group' },
      };
      return (await read(send(entra, 'POST', '/Groups', group), 201, resource)).id;
    };
    sales = await create('Sales');
    support = await create('Support');
    for (const name of ['bob', 'eve']) {
      const add = { op: 'Add', path: 'members', value: [{ $ref: null, value: ids[name] }] };
      expect((await patch(`/Groups/${sales}`, add)).status).toBe(200);
    }
    const filter = encodeURIComponent('displayName eq "Sales"');
    const query = `/Groups?excludedAttributes=members&filter=${filter}`;
    const found = await read(send(entra, 'GET', query), 200, list);
    expect(found.totalResults).toBe(1);
    expect(found.Resources[0]).not.toHaveProperty('members');
  });

  it('moves a person between groups, and the decision follows within the age of a snapshot', async () => {
    await letInOnly(sales);
    const device = await enrollDevice(broker);
    const decision = async () =>
      (await broker.client.signIn(client, device, named('eve'))).decision;
    expect(await decision()).toBe(true);
    const remove = { op: 'Remove', path: 'members', value: [{ $ref: null, value: ids.eve }] };
    const removed = await read(patch(`/Groups/${sales}`, remove), 200, resource);
    expect(removed[progressName]).toEqual({ status: 'pending', completeAt: expect.any(String) });
    const changedMs = Date.now();
    await expect.poll(decision, { timeout: snapshotAgeMs, interval: 200 }).toBe(false);
    const add = { op: 'Add', path: 'members', value: [{ $ref: null, value: ids.eve }] };
    await read(patch(`/Groups/${support}`, add), 200, resource);
    await letInOnly(support);
    await expect.poll(decision, { timeout: snapshotAgeMs, interval: 200 }).toBe(true);
    const completeMs = Date.parse(removed[progressName].completeAt ?? '');
    expect(completeMs).toBeGreaterThan(changedMs + snapshotAgeMs);
    narrowed = { path: `/Groups/${sales}`, completeMs };
  });

  it('#66 takes a person off with the text "False", and later deletes them', async () => {
    const device = await enrollDevice(broker);
    expect((await broker.client.signIn(client, device, named('eve'))).decision).toBe(true);
    const off = { op: 'Replace', path: 'active', value: 'False' };
    const gone = await read(patch(`/Users/${ids.eve}`, off), 200, resource);
    expect(gone.active).toBe(false);
    expectDenied(await broker.client.signIn(client, device, named('eve')), 'subject_inactive');
    expectDenied(await broker.client.signIn(client, device, named('EVE')), 'subject_inactive');
    expect((await send(entra, 'DELETE', `/Users/${ids.eve}`)).status).toBe(204);
    expect((await send(entra, 'GET', `/Users/${ids.eve}`)).status).toBe(404);
    expectDenied(await broker.client.signIn(client, device, named('eve')), 'subject_inactive');
  });
});

describe('without SCIM', () => {
  it('people come from a file: tried first, then done, and nothing of it when a line is wrong', async () => {
    const file = owner.write('people.csv', 'user_name,groups\ncsv-1,Field\ncsv-2,Field\n');
    expect(await owner.done('users', 'import', file)).toContain('Nothing was changed');
    expect(await owner.done('users', 'import', file, '--apply')).toMatch(/^users created +2$/m);
    expect(await owner.done('groups', 'show', 'field')).toMatch(/^csv-1$/m);
    const bad = owner.write('bad.csv', 'user_name,active\ncsv-1,true\ncsv-3,perhaps\n');
    expect(await owner.run('users', 'import', bad, '--apply')).toMatchObject({
      code: 1,
      errors: expect.stringContaining('line 3, active: must be true or false'),
    });
    const foreign = owner.write('taken.csv', 'user_name,external_id\ncsv-1,7\ncsv-2,bob\n');
    expect(await owner.run('users', 'import', foreign, '--apply')).toMatchObject({
      code: 1,
      errors: expect.stringMatching(/line 3, user_name: another user has this userName/),
    });
    // The last one of a group in use was deleted before: that is stopped, and shown until somebody has looked.
    expect(await owner.run('directory', 'show')).toMatchObject({
      code: 1,
      output: expect.stringMatching(/^group support +\S+ +1$/m),
    });
    expect(await owner.done('directory', 'resume', '--group', 'support')).toMatch(
      /^Nothing is stopped\.$/m,
    );
    await owner.done('directory', 'set', '--max-removals', '1', '--max-removals-percent', '0');
    const fewer = owner.write('fewer.csv', 'user_name\ncsv-1\n');
    const refused = await owner.run('users', 'import', fewer, '--complete', '--apply');
    expect(refused).toMatchObject({ code: 1, errors: expect.stringContaining('quota') });
    await owner.done('users', 'import', fewer, '--complete', '--ignore-quota', '--apply');
    const shown = await owner.done('users', 'show', 'csv-2');
    expect(shown).toMatch(/^active +no$/m);
    expect(shown).toMatch(/^known +by an administrator or a directory$/m);
    expect(await owner.run('users', 'activate', 'csv-2')).toMatchObject({ code: 1 });
  });
});

it('a group of a hundred thousand people fits, and decides', async () => {
  const members = Array.from({ length: 100_000 }, (_, n) => `${n}@large.example`);
  const sent = { name: 'Everybody', members };
  const response = await broker.client.admin('PUT', '/v1/admin/groups/everybody', sent);
  expect([response.status, response.ok ? '' : await response.text()]).toEqual([200, '']);
  await letInOnly('everybody');
  const decide = async (subject: string) =>
    (await broker.client.signIn(client, await enrollDevice(broker), subject)).decision;
  expect(await decide('99999@large.example')).toBe(true);
  expect(await decide('100000@large.example')).toBe(false);
});

it('a large message that is refused gets its answer', async () => {
  const body = JSON.stringify({ userName: 'x', title: 'x'.repeat(20 * 1024 * 1024) });
  const statuses: number[] = [];
  for (const bearer of [token, 'cadm_nobody']) {
    const response = await broker.client.request('/scim/v2/Users', {
      method: 'POST',
      headers: { Authorization: `Bearer ${bearer}`, 'Content-Type': 'application/scim+json' },
      body,
    });
    statuses.push(response.status);
  }
  expect(statuses).toEqual([413, 401]);
});

it('says that a narrowing change is complete only when every decision knows of it', async () => {
  const [job = ''] = ended.jobs ?? [];
  await expect
    .poll(
      async () => {
        const response = await broker.client.admin('GET', `/v1/admin/jobs/${job}`);
        return jobAnswer.parse(await response.json()).status;
      },
      { timeout: 20_000, interval: 250 },
    )
    .toBe('complete');
  const headers = { Accept: 'application/scim+json' };
  const user = await read(send(headers, 'GET', ended.path), 200, resource);
  expect(user[progressName]).toEqual({ status: 'complete' });
  await expect
    .poll(
      async () => (await read(send(headers, 'GET', narrowed.path), 200, resource))[progressName],
      {
        timeout: 15_000,
        interval: 250,
      },
    )
    .toEqual({ status: 'complete' });
  expect(Date.now()).toBeGreaterThanOrEqual(narrowed.completeMs);
});
