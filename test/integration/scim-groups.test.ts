import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { readStoredGroups } from '../../worker/src/directory/group-versions.ts';
import {
  createIntegration,
  eventCount,
  eventsAfter,
  expectRefusal,
  issuedThrough,
  setState,
} from './test-administration.ts';
import { broker } from './test-broker.ts';
import { enrolledDevice, put } from './test-changes.ts';
import {
  forgetRemovals,
  newName,
  resourceOf,
  scimGroup,
  scimRefusal,
  TestDirectory,
} from './test-directory.ts';
import { sqlInOrganization } from './test-jobs.ts';
import { runInOrganization } from './test-objects.ts';

// Groups of a directory, as Okta and Entra send them, and what membership decides.

let directory: TestDirectory;
beforeAll(async () => {
  directory = await TestDirectory.create();
});
beforeEach(forgetRemovals);

const people = (count: number) =>
  Promise.all(Array.from({ length: count }, () => directory.createUser()));

async function membersOf(group: string): Promise<string[]> {
  const found = z
    .object({ members: z.optional(z.array(z.object({ value: z.string() }))) })
    .parse(await (await directory.send('GET', `/Groups/${group}`)).json());
  return (found.members ?? []).map(({ value }) => value).toSorted();
}

/** An application that lets in the members of the group alone. */
async function applicationFor(client: TestClient, group: string, kind = 'groups') {
  const policy = {
    enforcement: 'enforce',
    rules: [{ id: 'members', when: { people: { [kind]: [group] } }, effect: 'allow' }],
    otherwise: 'deny',
  };
  const path = `/v1/admin/applications/${client.application}/policy`;
  const response = await put(path, { policy });
  if (!response.ok) throw new Error(await response.text());
}

describe('a group', () => {
  it('is created with an id that policies can name, read, listed and found', async () => {
    const [ada, bob] = await people(2);
    const before = await eventCount();
    const displayName = `Sales (EMEA) ${randomText(3)}`;
    const members = [{ value: ada?.id, display: 'Ada' }, { value: bob?.id }];
    const response = await directory.send('POST', '/Groups', {
      schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'],
      displayName,
      externalId: 'b3a1',
      members,
    });
    expect(response.status).toBe(201);
    const group = await resourceOf(response, scimGroup);
    expect(group.id).toMatch(/^sales-emea-[a-z0-9-]+$/);
    expect(await membersOf(group.id)).toEqual([ada?.id, bob?.id].toSorted());
    const shown = await directory.send('GET', `/Groups/${group.id}?excludedAttributes=members`);
    expect(await resourceOf(shown, scimGroup)).not.toHaveProperty('members');
    for (const filter of [
      `displayName eq "${displayName.toLowerCase()}"`,
      'externalId eq "b3a1"',
      `id eq "${group.id}" and members eq "${ada?.id}"`,
      `members[value eq "${bob?.id}"] and displayName sw "Sales"`,
    ]) {
      const found = await directory.find('Groups', filter, '&excludedAttributes=members');
      expect([filter, found.totalResults, found.Resources[0]?.id]).toEqual([filter, 1, group.id]);
      expect(found.Resources[0]).not.toHaveProperty('members');
    }
    const user = await directory.user(ada?.id ?? '');
    expect(user).toMatchObject({ groups: [{ value: group.id, display: displayName }] });
    expect(await eventsAfter(before)).toMatchObject([
      { event_type: 'admin.group.create', debug_data: { group_id: group.id, added: '2' } },
    ]);
    const same = await directory.send('POST', '/Groups', { displayName });
    expect(await scimRefusal(same)).toEqual([409, 'uniqueness', 'scim_conflict']);
  });

  it('changes its members in every way that identity providers send', async () => {
    const [a = '', b = '', c = ''] = (await people(3)).map(({ id }) => id);
    const { id } = await directory.createGroup();
    const path = `/Groups/${id}`;
    const cases: ReadonlyArray<readonly [string, object, readonly string[]]> = [
      ['Okta adds', { op: 'add', path: 'members', value: [{ value: a, display: 'a' }] }, [a]],
      ['Entra adds', { op: 'Add', path: 'members', value: [{ value: b }, { value: a }] }, [a, b]],
      ['Okta removes', { op: 'remove', path: `members[value eq "${a}"]` }, [b]],
      ['one alone', { op: 'add', path: 'members', value: { value: c } }, [b, c]],
      ['Entra removes', { op: 'Remove', path: 'members', value: [{ value: b, $ref: null }] }, [c]],
      ['an empty list removes nobody', { op: 'Remove', path: 'members', value: [] }, [c]],
      ['without a path', { op: 'add', value: { members: [{ value: a }] } }, [a, c]],
      [
        'Okta renames and says nothing of members',
        { op: 'replace', value: { id, displayName: `Renamed ${randomText(4)}` } },
        [a, c],
      ],
      ['several', { op: 'remove', path: `members[value eq "${a}" or value eq "${c}"]` }, []],
      ['all anew', { op: 'replace', path: 'members', value: [{ value: b }] }, [b]],
      ['all anew without a path', { op: 'replace', value: { members: [{ value: c }] } }, [c]],
      ['what is not known', { op: 'replace', path: 'description', value: 'x' }, [c]],
      ['nobody any more', { op: 'remove', path: 'members' }, []],
    ];
    for (const [name, operation, expected] of cases) {
      const response = await directory.patch(path, [operation]);
      expect([name, response.status, await membersOf(id)]).toEqual([
        name,
        200,
        [...expected].toSorted(),
      ]);
    }
  });

  it('refuses members that are no users, and changes nothing then', async () => {
    const [ada] = await people(1);
    const { id } = await directory.createGroup([ada?.id ?? '']);
    for (const value of [[{ value: 'nobody' }], [{ display: 'x' }], [7], 'x'.repeat(300)]) {
      const response = await directory.patch(`/Groups/${id}`, [
        { op: 'add', path: 'members', value },
      ]);
      expect(await scimRefusal(response)).toEqual([400, 'invalidValue', 'scim_value_invalid']);
    }
    const wrong = await directory.patch(`/Groups/${id}`, [
      { op: 'replace', path: 'members[type eq "x"].value', value: 'y' },
    ]);
    expect(await scimRefusal(wrong)).toEqual([400, 'invalidPath', 'scim_path_invalid']);
    expect(await membersOf(id)).toEqual([ada?.id]);
  });

  it('keeps its members by a PUT that does not name them', async () => {
    const [ada] = await people(1);
    const { id } = await directory.createGroup([ada?.id ?? '']);
    const displayName = `Renamed ${randomText(4)}`;
    expect((await directory.send('PUT', `/Groups/${id}`, { displayName })).status).toBe(200);
    expect(await membersOf(id)).toEqual([ada?.id]);
    await directory.send('PUT', `/Groups/${id}`, { displayName, members: [] });
    expect(await membersOf(id)).toEqual([]);
  });

  it('belongs to the directory: administrators use it and do not change it', async () => {
    const { id } = await directory.createGroup();
    const changed = await put(`/v1/admin/groups/${id}`, { name: 'x', members: [] });
    await expectRefusal(changed, 409, 'group_owned_by_directory');
    const removed = await broker.admin('DELETE', `/v1/admin/groups/${id}`);
    await expectRefusal(removed, 409, 'group_owned_by_directory');
    const own = `own-${randomText(4)
      .toLowerCase()
      .replaceAll(/[^a-z0-9]/g, '')}`;
    await put(`/v1/admin/groups/${own}`, { name: 'Own', members: ['ada'] });
    const foreign = await directory.patch(`/Groups/${own}`, [{ op: 'remove', path: 'members' }]);
    expect(await scimRefusal(foreign)).toEqual([404, undefined, 'scim_resource_not_found']);
  });

  it('is not deleted while an integration is on trial with it, and then is', async () => {
    const { id } = await directory.createGroup();
    const { integration } = await createIntegration();
    await setState(integration.integration_id, { mode: 'test_groups', groups: [id] });
    const refused = await scimRefusal(await directory.send('DELETE', `/Groups/${id}`));
    expect(refused).toEqual([409, undefined, 'group_in_use']);
    await setState(integration.integration_id, { mode: 'disabled' }, true);
    expect((await directory.send('DELETE', `/Groups/${id}`)).status).toBe(204);
    expect((await directory.send('GET', `/Groups/${id}`)).status).toBe(404);
  });
});

describe('membership', () => {
  it('decides at once here, and shows when it does so everywhere', async () => {
    const client = await broker.registerClient();
    const [ada, bob] = await people(2);
    const { id } = await directory.createGroup([ada?.id ?? '', bob?.id ?? '']);
    await applicationFor(client, id);
    const device = await enrolledDevice();
    const name = ada?.userName ?? '';
    expect((await broker.signIn(client, device, name)).decision).toBe(true);
    const response = await directory.patch(`/Groups/${id}`, [
      { op: 'remove', path: `members[value eq "${ada?.id}"]` },
    ]);
    const changed = await resourceOf(response, scimGroup);
    expect(changed['urn:countersign:params:scim:schemas:1.0:Progress']).toEqual({
      status: 'pending',
      completeAt: expect.any(String),
    });
    expect((await broker.signIn(client, device, name)).decision).toBe(false);
    await sqlInOrganization(
      'UPDATE user_groups SET changed_at_ms = changed_at_ms - 10000 WHERE group_id = ?',
      id,
    );
    const later = await resourceOf(await directory.send('GET', `/Groups/${id}`), scimGroup);
    expect(later['urn:countersign:params:scim:schemas:1.0:Progress']).toEqual({
      status: 'complete',
    });
    await broker.admin('PUT', `/v1/admin/applications/${client.application}`, {
      name: 'CRM',
      enforcement: 'enforce',
      replace_policy: true,
    });
  });
});

describe('an integration that is tried with a group of the directory', () => {
  it('counts for its members, and for nobody who was moved out of it', async () => {
    const client = await broker.registerClient();
    const [ada, bob] = await people(2);
    const group = await directory.createGroup([ada?.id ?? '', bob?.id ?? '']);
    const { integration } = await createIntegration();
    const id = integration.integration_id;
    await setState(id, { mode: 'test_groups', groups: [group.id] });
    const device = await enrolledDevice();
    await issuedThrough(device, id);
    const name = ada?.userName ?? '';
    expect((await broker.signIn(client, device, name)).decision).toBe(true);
    await directory.patch(`/Groups/${group.id}`, [
      { op: 'Remove', path: 'members', value: [{ value: ada?.id }] },
    ]);
    const denied = await broker.signIn(client, device, name);
    expect([denied.decision, denied.context.reason_code]).toEqual([
      false,
      'integration_not_for_user',
    ]);
    await setState(id, { mode: 'disabled' }, true);
  });
});

describe('what an asker has of groups', () => {
  it('is as held, or what changed since, or whole', async () => {
    const client = await broker.registerClient();
    const [a, b] = await people(2);
    const { id } = await directory.createGroup([a?.id ?? '']);
    await applicationFor(client, id);
    const find = async (held: Readonly<Record<string, number>>) =>
      (await runInOrganization(({ storage }) => readStoredGroups(storage.sql, [id], held)))[0];
    const whole = await find({});
    expect(whole).toMatchObject({ kind: 'whole', membersJson: JSON.stringify([a?.userName]) });
    const { version = 0 } = whole ?? {};
    expect(await find({ [id]: version })).toMatchObject({ kind: 'same', version });
    await directory.patch(`/Groups/${id}`, [
      { op: 'add', path: 'members', value: [{ value: b?.id }] },
    ]);
    await directory.patch(`/Groups/${id}`, [
      { op: 'remove', path: `members[value eq "${a?.id}"]` },
    ]);
    expect(await find({ [id]: version })).toMatchObject({
      kind: 'changes',
      changesJson: JSON.stringify([
        [b?.userName, 1],
        [a?.userName, 0],
      ]),
    });
    // What somebody held before the journal began, or says to hold from the future, is worth nothing.
    expect(await find({ [id]: version - 1 })).toMatchObject({ kind: 'whole' });
    expect(await find({ [id]: version + 1000 })).toMatchObject({ kind: 'whole' });
    const many = (await people(501)).map((user) => ({ value: user.id }));
    const before = (await find({}))?.version ?? 0;
    await directory.patch(`/Groups/${id}`, [{ op: 'add', path: 'members', value: many }]);
    expect(await find({ [id]: before })).toMatchObject({ kind: 'whole' });
    const journal = await sqlInOrganization('SELECT * FROM group_changes WHERE group_id = ?', id);
    expect(journal).toEqual([]);
  });
});

describe('the quota', () => {
  const set = (more: object) => broker.admin('PUT', '/v1/admin/directory', more);
  const deactivate = (id: string) =>
    directory.patch(`/Users/${id}`, [{ op: 'replace', value: { active: false } }]);
  const stopped = [429, undefined, 'directory_quota_reached'];

  it('#66 stops a directory that takes away too much, until an administrator lets it go on', async () => {
    await sqlInOrganization('DELETE FROM directory_users');
    await set({ max_removals: 2, max_removals_percent: 0, period_seconds: 3600 });
    const users = await people(6);
    const ids = users.map(({ id }) => id);
    expect((await deactivate(ids[0] ?? '')).status).toBe(200);
    expect((await directory.send('DELETE', `/Users/${ids[1]}`)).status).toBe(204);
    const before = await eventCount();
    const refused = await deactivate(ids[2] ?? '');
    expect(refused.headers.get('Retry-After')).toBe('3600');
    expect(await scimRefusal(refused)).toEqual(stopped);
    expect(await scimRefusal(await directory.send('DELETE', `/Users/${ids[2]}`))).toEqual(stopped);
    const rename = await directory.patch(`/Users/${ids[3]}`, [
      { op: 'replace', value: { userName: newName() } },
    ]);
    expect(await scimRefusal(rename)).toEqual(stopped);
    expect(await eventsAfter(before)).toMatchObject([
      { event_type: 'admin.directory.stop', outcome: 'FAILURE', debug_data: { scope: 'users' } },
    ]);
    // Nobody else is kept from anything, and an administrator may end whom they like.
    expect((await directory.send('POST', '/Users', { userName: newName() })).status).toBe(201);
    await broker.putUser(users[4]?.userName ?? '', false);
    const shown: unknown = await (await broker.admin('GET', '/v1/admin/directory')).json();
    expect(shown).toMatchObject({
      users: { total: 6, active: 4 },
      removals: { counted: 2, allowed: 2 },
      stopped: [
        {
          since: expect.any(String),
          refused: 3,
          user_ids: [users[2]?.userName, users[3]?.userName],
        },
      ],
    });
    expect(await directory.user(ids[2] ?? '')).toMatchObject({ active: true });
    const resumed = await broker.admin('POST', '/v1/admin/directory/resume', { removals: 3 });
    expect(await resumed.json()).toMatchObject({
      stopped: [],
      removals: { counted: 0, allowed: 3 },
    });
    expect((await deactivate(ids[2] ?? '')).status).toBe(200);
    expect((await deactivate(ids[3] ?? '')).status).toBe(200);
  });

  it('is a share of a large directory, and forgets what is older than the period', async () => {
    await sqlInOrganization('DELETE FROM directory_users');
    await set({ max_removals: 1, max_removals_percent: 50, period_seconds: 3600 });
    const ids = (await people(4)).map(({ id }) => id);
    expect((await deactivate(ids[0] ?? '')).status).toBe(200);
    expect((await deactivate(ids[1] ?? '')).status).toBe(200);
    await sqlInOrganization(
      'UPDATE directory_removals SET removed_at_ms = removed_at_ms - 3600001',
    );
    expect((await deactivate(ids[2] ?? '')).status).toBe(200);
    expect(await scimRefusal(await deactivate(ids[3] ?? ''))).toEqual(stopped);
  });

  it('#66 keeps a group that decides about sign-ins from being emptied', async () => {
    const client = await broker.registerClient();
    const [a, b] = await people(2);
    const { id } = await directory.createGroup([a?.id ?? '', b?.id ?? '']);
    await applicationFor(client, id, 'except_groups');
    const path = `/Groups/${id}`;
    const empty = () => directory.patch(path, [{ op: 'remove', path: 'members' }]);
    expect(await scimRefusal(await empty())).toEqual(stopped);
    expect(await membersOf(id)).toHaveLength(2);
    await broker.admin('POST', '/v1/admin/directory/resume', { group_id: id });
    expect((await empty()).status).toBe(200);
    const free = await directory.createGroup([a?.id ?? '']);
    expect(
      (await directory.patch(`/Groups/${free.id}`, [{ op: 'remove', path: 'members' }])).status,
    ).toBe(200);
  });

  it('#66 keeps in a group that keeps people out who is deleted and comes back', async () => {
    const client = await broker.registerClient();
    const [eve] = await people(1);
    const group = await directory.createGroup([eve?.id ?? '']);
    const free = await directory.createGroup([eve?.id ?? '']);
    const own = `own-${Date.now()}`;
    await put(`/v1/admin/groups/${own}`, { name: 'Own', members: [eve?.userName] });
    await applicationFor(client, group.id, 'except_groups');
    const before = await eventCount();
    expect((await directory.send('DELETE', `/Users/${eve?.id}`)).status).toBe(204);
    const events = await eventsAfter(before);
    expect(events.map(({ event_type }) => event_type)).toEqual([
      'admin.user.delete',
      'admin.directory.stop',
    ]);
    const again = await directory.createUser({ userName: eve?.userName });
    expect(again).toMatchObject({ active: true });
    expect(await membersOf(group.id)).toEqual([again.id]);
    expect(await membersOf(free.id)).toEqual([]);
    const kept = await sqlInOrganization(
      'SELECT user_id FROM group_members WHERE group_id = ?',
      own,
    );
    expect(kept).toEqual([{ user_id: eve?.userName }]);
  });

  it('names what is wrong with its settings', async () => {
    for (const [wrong, field] of [
      [{ subject: 'emails' }, 'subject'],
      [{ max_removals: 0 }, 'max_removals'],
      [{ max_removals_percent: 101 }, 'max_removals_percent'],
      [{ other: 1 }, 'other'],
    ] as const) {
      const { document } = await expectRefusal(await set(wrong), 400, 'field_invalid');
      expect(document.field).toBe(field);
    }
  });
});
