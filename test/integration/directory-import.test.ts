import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { eventCount, eventsAfter, expectRefusal } from './test-administration.ts';
import { broker } from './test-broker.ts';
import { enrolledDevice } from './test-changes.ts';
import { forgetRemovals, groupMembers, newName, TestDirectory } from './test-directory.ts';
import { sqlInOrganization } from './test-jobs.ts';

// A file of people, for those without SCIM: the whole of it or nothing.

let directory: TestDirectory;
beforeAll(async () => {
  directory = await TestDirectory.create();
});
beforeEach(async () => {
  await forgetRemovals();
  await sqlInOrganization('DELETE FROM directory_users');
  await sqlInOrganization("DELETE FROM user_groups WHERE origin = 'directory'");
  await sqlInOrganization('DELETE FROM group_members');
});

const send = (users: readonly object[], more: object = {}) =>
  broker.admin('PUT', '/v1/admin/directory/import', { users, ...more });
describe('an import', () => {
  it('brings people with their groups, and the same file again changes nothing', async () => {
    const [a, b] = ['a', 'b'].map((letter) => `${letter}-${newName()}`);
    const users = [
      { user_name: a, display_name: 'Ada', email: a, groups: ['Sales', 'Pilot'] },
      { user_name: b, external_id: 'b-1', active: false, groups: ['Sales'] },
    ];
    const before = await eventCount();
    const dry = await send(users, { dry_run: true });
    const counts = {
      users: { created: 2, changed: 0, replaced: 0, deactivated: 0, reactivated: 0, unchanged: 0 },
      groups: { created: 2, changed: 0 },
    };
    expect(await dry.json()).toMatchObject({ dry_run: true, changed: false, ...counts });
    expect(await eventCount()).toBe(before);
    expect((await directory.find('Users', 'id pr')).totalResults).toBe(0);
    const done = await send(users);
    expect(await done.json()).toMatchObject({ dry_run: false, changed: true, ...counts });
    expect([await groupMembers('sales'), await groupMembers('pilot')]).toEqual([[a, b], [a]]);
    const types = (await eventsAfter(before)).map(({ event_type }) => event_type);
    expect(types).toEqual([
      'admin.directory.import',
      'admin.user.create',
      'admin.user.create',
      'admin.group.create',
      'admin.group.create',
    ]);
    const again = await send(users);
    expect(await again.json()).toMatchObject({ changed: false, users: { unchanged: 2 } });
    const found = await directory.find('Users', `userName eq "${a}"`);
    expect(found.Resources[0]).toMatchObject({ displayName: 'Ada', emails: [{ value: a }] });
  });

  it('moves people between groups, and leaves memberships that it has no column for', async () => {
    const user_name = newName();
    await send([{ user_name, groups: ['Sales'] }]);
    await send([{ user_name, display_name: 'Ada' }]);
    expect(await groupMembers('sales')).toEqual([user_name]);
    const moved = await send([{ user_name, groups: ['Pilot'] }]);
    expect(await moved.json()).toMatchObject({ groups: { created: 1, changed: 1 } });
    expect([await groupMembers('sales'), await groupMembers('pilot')]).toEqual([[], [user_name]]);
  });

  it('#66 deactivates whom a complete file leaves out, within the quota', async () => {
    const client = await broker.registerClient();
    const names = Array.from({ length: 4 }, newName);
    await send(names.map((user_name) => ({ user_name })));
    const device = await enrolledDevice();
    expect((await broker.signIn(client, device, names[3] ?? '')).decision).toBe(true);
    await broker.admin('PUT', '/v1/admin/directory', { max_removals: 1, max_removals_percent: 0 });
    const only = (count: number) => names.slice(0, count).map((user_name) => ({ user_name }));
    await expectRefusal(await send(only(2), { complete: true }), 429, 'directory_quota_reached');
    const none = await sqlInOrganization('SELECT 1 FROM directory_users WHERE active = 0');
    expect(none).toEqual([]);
    const told = await send(only(2), { complete: true, ignore_quota: true });
    expect(await told.json()).toMatchObject({ users: { deactivated: 2, unchanged: 2 } });
    const denied = await broker.signIn(client, device, names[3] ?? '');
    expect([denied.decision, denied.context.reason_code]).toEqual([false, 'subject_inactive']);
    const back = await send(only(3), { complete: true });
    expect(await back.json()).toMatchObject({ users: { reactivated: 1, deactivated: 0 } });
  });

  it('#66 that is too much is refused, and SCIM goes on', async () => {
    const users = await Promise.all([directory.createUser(), directory.createUser()]);
    await broker.admin('PUT', '/v1/admin/directory', { max_removals: 1, max_removals_percent: 0 });
    const off = users.map(({ userName }) => ({ user_name: userName, active: false }));
    await expectRefusal(await send(off), 429, 'directory_quota_reached');
    const shown: unknown = await (await broker.admin('GET', '/v1/admin/directory')).json();
    expect(shown).toMatchObject({ stopped: [], removals: { counted: 0 } });
    const ended = [{ op: 'replace', value: { active: false } }];
    expect((await directory.patch(`/Users/${users[0]?.id}`, ended)).status).toBe(200);
  });

  it.each([true, false])(
    '#66 gives nothing of one person to another of the same name (the first one active: %s)',
    async (active) => {
      const client = await broker.registerClient();
      const user_name = newName();
      const device = await enrolledDevice();
      await send([{ user_name, external_id: '1', display_name: 'Ada', groups: ['Sales'] }]);
      expect((await broker.signIn(client, device, user_name)).decision).toBe(true);
      if (!active) await send([{ user_name, external_id: '1', active: false }]);
      const another = await send([{ user_name, external_id: '2' }]);
      expect(await another.json()).toMatchObject({
        users: { replaced: 1 },
        groups: { changed: 1 },
      });
      expect(await groupMembers('sales')).toEqual([]);
      const found = await directory.find('Users', `userName eq "${user_name}"`);
      expect(found.Resources).toMatchObject([{ externalId: '2', active: true }]);
      expect(found.Resources[0]).not.toHaveProperty('displayName');
      await vi.waitFor(async () => {
        expect((await broker.signIn(client, device, user_name)).decision).toBe(false);
      }, 30_000);
      const own = await broker.signIn(client, await enrolledDevice(), user_name);
      expect(own.decision).toBe(true);
      const again = await send([{ user_name, external_id: '2' }]);
      expect(await again.json()).toMatchObject({ changed: false });
    },
  );

  it('follows a person whose external id is known to a new name', async () => {
    const [old, name] = [newName(), newName()];
    await send([{ user_name: old, external_id: 'e-1', groups: ['Sales'] }]);
    const renamed = await send([{ user_name: name, external_id: 'e-1', groups: ['Sales'] }]);
    expect(await renamed.json()).toMatchObject({ users: { changed: 1, created: 0 } });
    expect(await groupMembers('sales')).toEqual([name]);
    const twice = [{ user_name: newName(), external_id: 'e-1' }, { user_name: name }];
    const { document } = await expectRefusal(await send(twice), 400, 'field_invalid');
    expect(document.field).toBe('users.1.user_name');
  });

  it.each([
    [[], 'users'],
    [[{ user_name: 'a' }, { user_name: '' }], 'users.1.user_name'],
    [[{ user_name: 'a' }, { user_name: 'A' }], 'users.1.user_name'],
    [
      [
        { user_name: 'a', external_id: '1' },
        { user_name: 'b', external_id: '1' },
      ],
      'users.1.external_id',
    ],
    [[{ user_name: 'a', active: 'False' }], 'users.0.active'],
    [[{ user_name: 'a', groups: 'Sales' }], 'users.0.groups'],
    [[{ user_name: 'a', shoe_size: 43 }], 'users.0.shoe_size'],
  ])('changes nothing when one is wrong: %j', async (users, field) => {
    const { document } = await expectRefusal(await send(users), 400, 'field_invalid');
    expect(document.field).toBe(field);
    expect(await sqlInOrganization('SELECT 1 FROM directory_users')).toEqual([]);
  });
});
