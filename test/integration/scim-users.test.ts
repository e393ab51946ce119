import type { TestClient } from '@countersign/testkit/broker-client';
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import * as z from 'zod/mini';
import { progressSchema } from '../../worker/src/scim/describe-resources.ts';
import { eventCount, eventsAfter, expectRefusal } from './test-administration.ts';
import { broker } from './test-broker.ts';
import { enrolledDevice } from './test-changes.ts';
import {
  denialOf,
  forgetRemovals,
  newName,
  resourceOf,
  scimRefusal,
  scimUser,
  TestDirectory,
  userRow,
} from './test-directory.ts';
import { jobWhen, sqlInOrganization } from './test-jobs.ts';
import { organizationObject } from './test-objects.ts';

// People of a directory, as Okta and Entra send them: what each request makes of them, in the table and in sign-ins.

let directory: TestDirectory;
let client: TestClient;
beforeAll(async () => {
  directory = await TestDirectory.create();
  client = await broker.registerClient();
});
beforeEach(forgetRemovals);

describe('a user', () => {
  it('is created, read, listed and found as the identity provider sent them', async () => {
    const before = await eventCount();
    const userName = newName();
    const response = await directory.send('POST', '/Users', {
      schemas: [
        'urn:ietf:params:scim:schemas:core:2.0:User',
        'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User',
      ],
      externalId: `ext-${userName}`,
      userName,
      active: true,
      displayName: 'Ada Lovelace',
      name: { givenName: 'Ada', familyName: 'Lovelace', formatted: 'Ada Lovelace' },
      emails: [{ primary: true, type: 'work', value: userName }],
      locale: 'en-US',
      password: 'never kept',
      'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User': { department: 'Engines' },
    });
    expect(response.status).toBe(201);
    const location = response.headers.get('Location');
    const tag = response.headers.get('ETag');
    const user = await resourceOf(response, scimUser);
    expect([location, tag]).toEqual([user.meta.location, 'W/"1"']);
    expect(user).toMatchObject({
      userName,
      externalId: `ext-${userName}`,
      displayName: 'Ada Lovelace',
      name: { givenName: 'Ada' },
      emails: [{ value: userName, type: 'work', primary: true }],
      meta: { version: 'W/"1"' },
    });
    expect(JSON.stringify(user)).not.toMatch(/never kept|Engines|en-US/);
    expect(await directory.user(user.id)).toEqual(user);
    for (const filter of [
      `userName eq "${userName.toUpperCase()}"`,
      `externalId eq "ext-${userName}"`,
      `id eq "${user.id}" and active eq true`,
      `emails[type eq "work"].value eq "${userName.toLowerCase()}"`,
      `emails.value sw "${userName}"`,
      `urn:ietf:params:scim:schemas:core:2.0:User:userName EQ "${userName}"`,
      `displayName co "lovelace" and userName eq "${userName}" and not (active eq false)`,
      `name.familyName pr and userName eq "${userName}"`,
    ]) {
      const { totalResults, Resources } = await directory.find('Users', filter);
      expect([filter, totalResults, Resources[0]?.id]).toEqual([filter, 1, user.id]);
    }
    expect(await eventsAfter(before)).toMatchObject([
      {
        event_type: 'admin.user.create',
        user: userName,
        actor: { type: 'admin', id: directory.adminId },
      },
    ]);
  });

  it('is not found where there is none, which is how Entra tests a connection', async () => {
    const found = await directory.find('Users', 'userName eq "6e8a-not-there"');
    expect(found).toEqual({
      totalResults: 0,
      startIndex: 1,
      itemsPerPage: 0,
      Resources: [],
    });
  });

  it.each([
    ['Okta', [{ op: 'replace', value: { active: false } }]],
    ['Entra', [{ op: 'Replace', path: 'active', value: 'False' }]],
    ['Entra of today', [{ op: 'Replace', path: 'active', value: false }]],
    [
      'with a URN',
      [
        {
          op: 'replace',
          path: 'urn:ietf:params:scim:schemas:core:2.0:User:active',
          value: 'false',
        },
      ],
    ],
    ['capitals', [{ op: 'REPLACE', path: 'Active', value: [{ value: 'False' }] }]],
  ])(
    '#66 that is deactivated as %s does it may not sign in, and what they had is ended',
    async (_, operations) => {
      const user = await directory.createUser();
      const device = await enrolledDevice();
      expect((await broker.signIn(client, device, user.userName)).decision).toBe(true);
      const response = await directory.patch(`/Users/${user.id}`, operations);
      const changed = await resourceOf(response, scimUser);
      expect(changed).toMatchObject({ active: false, meta: { version: 'W/"2"' } });
      const progress = changed['urn:countersign:params:scim:schemas:1.0:Progress'];
      expect(progress).toMatchObject({ status: 'pending', jobs: [expect.stringMatching(/^job_/)] });
      const denied = await broker.signIn(client, device, user.userName);
      expect([denied.decision, denied.context.reason_code]).toEqual([false, 'subject_inactive']);
      expect(await userRow(user.userName)).toMatchObject({ active: 0, epoch: 2, held: 0 });
    },
  );

  it.each([
    ['null', null],
    ['a number', 0],
    ['a text that is neither', 'no'],
    ['an object', {}],
    ['two', [false, false]],
  ])('stays active when active is %s, which is refused', async (_, value) => {
    const user = await directory.createUser();
    const response = await directory.patch(`/Users/${user.id}`, [
      { op: 'replace', path: 'active', value },
    ]);
    expect(await scimRefusal(response)).toEqual([400, 'invalidValue', 'scim_value_invalid']);
    expect(await directory.user(user.id)).toEqual(user);
  });

  it('is neither suspended nor reactivated by a PUT without active', async () => {
    const user = await directory.createUser({ externalId: 'kept', displayName: 'Ada' });
    const put = () =>
      directory.send('PUT', `/Users/${user.id}`, { userName: user.userName, displayName: 'A.' });
    expect(await resourceOf(await put(), scimUser)).toMatchObject({
      active: true,
      externalId: 'kept',
      displayName: 'A.',
    });
    await directory.patch(`/Users/${user.id}`, [{ op: 'replace', value: { active: false } }]);
    expect(await resourceOf(await put(), scimUser)).toMatchObject({ active: false });
    expect(await denialOf(client, user.userName)).toBe('subject_inactive');
  });

  it('comes back with new certificates alone, and the job that ended the old ones completes', async () => {
    const user = await directory.createUser();
    const device = await enrolledDevice();
    await broker.signIn(client, device, user.userName);
    const off = await directory.patch(`/Users/${user.id}`, [
      { op: 'replace', value: { active: false } },
    ]);
    const [job] = z
      .object({
        'urn:countersign:params:scim:schemas:1.0:Progress': z.object({ jobs: z.array(z.string()) }),
      })
      .parse(await off.json())['urn:countersign:params:scim:schemas:1.0:Progress'].jobs;
    await directory.patch(`/Users/${user.id}`, [{ op: 'replace', value: { active: true } }]);
    await jobWhen(job, ({ shards }) => shards.reached === shards.total);
    const old = await broker.signIn(client, device, user.userName);
    expect([old.decision, old.context.reason_code]).toEqual([false, 'user_revoked']);
    expect(await denialOf(client, user.userName)).toBeUndefined();
  });

  it('that is deleted may not sign in, and whoever comes by the same name has a new epoch', async () => {
    const user = await directory.createUser();
    const before = await eventCount();
    const deleted = await directory.send('DELETE', `/Users/${user.id}`);
    expect([deleted.status, await deleted.text()]).toEqual([204, '']);
    expect(await denialOf(client, user.userName)).toBe('subject_inactive');
    const gone = await directory.send('GET', `/Users/${user.id}`);
    expect(await scimRefusal(gone)).toEqual([404, undefined, 'scim_resource_not_found']);
    const again = await directory.createUser({ userName: user.userName });
    expect(again.id).not.toBe(user.id);
    expect(await userRow(user.userName)).toMatchObject({ active: 1, epoch: 2 });
    expect(await denialOf(client, user.userName)).toBeUndefined();
    const types = (await eventsAfter(before)).map(({ event_type }) => event_type);
    expect(types.filter((type) => type.startsWith('admin.user.'))).toEqual([
      'admin.user.delete',
      'admin.user.create',
      'admin.user.reactivate',
    ]);
  });

  it('#66 whom a directory has ended signs in under no other spelling of the name', async () => {
    const user = await directory.createUser();
    const other = user.userName.toUpperCase();
    const device = await enrolledDevice();
    expect((await broker.signIn(client, device, other)).decision).toBe(true);
    await directory.patch(`/Users/${user.id}`, [{ op: 'replace', value: { active: false } }]);
    expect(await userRow(other)).toMatchObject({ active: 0, epoch: 2 });
    expect(await denialOf(client, other)).toBe('subject_inactive');
    expect(await denialOf(client, user.userName.toLowerCase())).toBe('subject_inactive');
    // And whoever still has an older snapshot gets no reservation.
    const reserved = await organizationObject().reserveBinding(user.userName.toLowerCase(), 0);
    expect(reserved).toEqual({ ok: false, code: 'subject_inactive' });
  });

  it('is known from then on, as certificates may ask for it, and while active alone', async () => {
    const user = await directory.createUser();
    const standing = async (name: string) => {
      const found = await organizationObject().userStanding(name);
      return found.ok ? found.standing : found.code;
    };
    expect(await standing(user.userName)).toBe('active');
    await directory.patch(`/Users/${user.id}`, [{ op: 'replace', value: { active: false } }]);
    expect(await standing(user.userName)).toBe('inactive');
    expect(await standing(user.userName.toUpperCase())).toBe('inactive');
    expect(await standing(newName())).toBe('unknown');
  });

  it('whom an administrator has deactivated no directory lets in again', async () => {
    const user = await directory.createUser();
    await broker.putUser(user.userName, false);
    const put = { userName: user.userName, active: true };
    const answer = await directory.send('PUT', `/Users/${user.id}`, put);
    expect(await resourceOf(answer, scimUser)).toMatchObject({
      active: false,
      meta: { version: 'W/"2"' },
    });
    for (const active of [false, true]) {
      await directory.patch(`/Users/${user.id}`, [{ op: 'replace', value: { active } }]);
    }
    expect(await userRow(user.userName)).toMatchObject({ active: 0, held: 1 });
    await broker.putUser(user.userName, true);
    expect(await directory.user(user.id)).toMatchObject({ active: true });
  });

  it('whom the directory has deactivated no administrator lets in again', async () => {
    const user = await directory.createUser({ active: false });
    const path = `/v1/admin/users/${encodeURIComponent(user.userName)}`;
    const response = await broker.admin('PUT', path, { active: true });
    await expectRefusal(response, 409, 'user_inactive_in_directory');
  });

  it('#66 who is renamed keeps nothing of the old name, and gets nothing that another had under the new one', async () => {
    const user = await directory.createUser();
    const device = await enrolledDevice();
    await broker.signIn(client, device, user.userName);
    const group = await directory.createGroup([user.id]);
    const newUserName = newName();
    const foreign = await enrolledDevice();
    expect((await broker.signIn(client, foreign, newUserName)).decision).toBe(true);
    const before = await eventCount();
    const renamed = await resourceOf(
      await directory.patch(`/Users/${user.id}`, [
        { op: 'Replace', path: 'userName', value: newUserName },
      ]),
      scimUser,
    );
    const events = await eventsAfter(before);
    expect(events).toMatchObject([
      {
        event_type: 'admin.user.rename',
        user: newUserName,
        debug_data: { before: user.userName, job_id: expect.any(String) },
      },
      { event_type: 'admin.user.revoke', user: newUserName, reason: 'superseded' },
    ]);
    // Not complete while what was bound under the old name is being ended.
    expect(renamed[progressSchema]).toMatchObject({
      status: 'pending',
      jobs: expect.arrayContaining([events[0]?.debug_data.job_id]),
    });
    expect(await denialOf(client, user.userName)).toBe('subject_inactive');
    expect(await userRow(newUserName)).toMatchObject({ active: 1, epoch: 2 });
    await vi.waitFor(async () => {
      for (const [shown, name] of [
        [device, newUserName],
        [foreign, newUserName],
      ] as const) {
        expect((await broker.signIn(client, shown, name)).decision).toBe(false);
      }
    }, 30_000);
    expect(await denialOf(client, newUserName)).toBeUndefined();
    const members = await sqlInOrganization(
      'SELECT user_id FROM group_members WHERE group_id = ?',
      group.id,
    );
    expect(members).toEqual([{ user_id: newUserName }]);
  });

  it('whose name changes in case alone stays the same user', async () => {
    const user = await directory.createUser();
    const upper = user.userName.toUpperCase();
    const changed = await directory.patch(`/Users/${user.id}`, [
      { op: 'replace', value: { userName: upper } },
    ]);
    expect(await resourceOf(changed, scimUser)).toMatchObject({ userName: upper });
    expect(await userRow(user.userName)).toMatchObject({ active: 1, epoch: 1 });
  });

  it('is known by externalId where that is what sign-in servers send, and that stays so', async () => {
    await sqlInOrganization('DELETE FROM directory_users');
    const setting = { subject: 'externalId' };
    expect((await broker.admin('PUT', '/v1/admin/directory', setting)).status).toBe(200);
    const user = await directory.createUser({ externalId: newName() });
    const without = await directory.send('POST', '/Users', { userName: newName() });
    expect(await scimRefusal(without)).toEqual([400, 'invalidValue', 'scim_value_invalid']);
    const back = await broker.admin('PUT', '/v1/admin/directory', { subject: 'userName' });
    await expectRefusal(back, 409, 'directory_subject_fixed');
    await directory.patch(`/Users/${user.id}`, [{ op: 'replace', value: { userName: newName() } }]);
    expect(await denialOf(client, user.externalId ?? '')).toBeUndefined();
    await directory.patch(`/Users/${user.id}`, [{ op: 'replace', value: { active: false } }]);
    expect(await denialOf(client, user.externalId ?? '')).toBe('subject_inactive');
    await sqlInOrganization('DELETE FROM directory_users');
  });
});
