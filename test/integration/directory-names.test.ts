import type { TestClient } from '@countersign/testkit/broker-client';
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { progressSchema } from '../../worker/src/scim/describe-resources.ts';
import { eventCount, eventsAfter, expectRefusal } from './test-administration.ts';
import { broker } from './test-broker.ts';
import { enrolledDevice } from './test-changes.ts';
import {
  forgetRemovals,
  groupMembers,
  newName,
  resourceOf,
  scimRefusal,
  scimUser,
  seenUser,
  TestDirectory,
  userRow,
} from './test-directory.ts';
import { sqlInOrganization } from './test-jobs.ts';

// Names that pass from one person to another: by a rename, by a file, in whatever spelling. Nothing passes with them.

let directory: TestDirectory;
let client: TestClient;
beforeAll(async () => {
  directory = await TestDirectory.create();
  client = await broker.registerClient();
});
beforeEach(async () => {
  await sqlInOrganization('DELETE FROM directory_users');
  await forgetRemovals();
});

const stopped = [429, undefined, 'directory_quota_reached'];

const setDirectory = (settings: object) => broker.admin('PUT', '/v1/admin/directory', settings);
const shownDirectory = async (): Promise<unknown> =>
  await (await broker.admin('GET', '/v1/admin/directory')).json();
const importPeople = (users: readonly object[], more: object = {}) =>
  broker.admin('PUT', '/v1/admin/directory/import', { users, ...more });
const rename = (id: string, userName: string) =>
  directory.patch(`/Users/${id}`, [{ op: 'replace', value: { userName } }]);
const switchOff = (id: string) =>
  directory.patch(`/Users/${id}`, [{ op: 'replace', value: { active: false } }]);

describe('a rename', () => {
  it('#66 ends what is bound under the new name in any spelling, and is pending until the old one has ended in all', async () => {
    const user = await directory.createUser();
    const formerly = await enrolledDevice();
    const oldSpelling = user.userName.toUpperCase();
    expect((await broker.signIn(client, formerly, oldSpelling)).decision).toBe(true);
    const name = newName();
    const spelling = name.toUpperCase();
    const foreign = await enrolledDevice();
    expect((await broker.signIn(client, foreign, spelling)).decision).toBe(true);
    const before = await eventCount();
    const renamed = await resourceOf(await rename(user.id, name), scimUser);
    const events = await eventsAfter(before);
    expect(events).toMatchObject([
      { event_type: 'admin.user.rename', user: name, debug_data: { before: user.userName } },
      { event_type: 'admin.user.deactivate', user: oldSpelling },
      { event_type: 'admin.user.revoke', user: spelling, reason: 'superseded' },
    ]);
    const jobs = events.map(({ debug_data }) => debug_data.job_id);
    expect(renamed[progressSchema]).toMatchObject({ status: 'pending' });
    expect(Object(renamed[progressSchema]).jobs.toSorted()).toEqual(jobs.toSorted());
    expect(await userRow(spelling)).toMatchObject({ active: 1, epoch: 2 });
    await vi.waitFor(async () => {
      expect((await broker.signIn(client, foreign, spelling)).decision).toBe(false);
    }, 30_000);
  });

  it('#66 of one whom an administrator has deactivated locks nobody out beyond the quota', async () => {
    await setDirectory({ max_removals: 1, max_removals_percent: 0, period_seconds: 3600 });
    const strangers = [newName(), newName()];
    for (const name of strangers) await seenUser(name);
    const [one = '', two = ''] = strangers;
    const held = await directory.createUser();
    await broker.putUser(held.userName, false);
    expect((await rename(held.id, one.toUpperCase())).status).toBe(200);
    expect(await userRow(one)).toMatchObject({ active: 0 });
    expect(await scimRefusal(await rename(held.id, two.toUpperCase()))).toEqual(stopped);
    expect(await userRow(two)).toMatchObject({ active: 1, epoch: 1 });
    expect(await userRow(two.toUpperCase())).toBeUndefined();
  });
});

it('#66 the quota counts a person once, in however many spellings', async () => {
  await setDirectory({ max_removals: 1, max_removals_percent: 0, period_seconds: 3600 });
  const user = await directory.createUser();
  const spellings = [user.userName.toUpperCase(), `${user.userName}\u200b`, ` ${user.userName}`];
  for (const spelling of spellings) await seenUser(spelling);
  expect((await switchOff(user.id)).status).toBe(200);
  for (const spelling of spellings) expect(await userRow(spelling)).toMatchObject({ active: 0 });
  expect(await shownDirectory()).toMatchObject({ stopped: [], removals: { counted: 1 } });
  const other = await directory.createUser();
  expect(await scimRefusal(await switchOff(other.id))).toEqual(stopped);
});

it('a stop from before it named anybody is shown, and can be lifted', async () => {
  await sqlInOrganization(
    'INSERT INTO settings (name, value) VALUES (?, ?)',
    'directory_quota',
    JSON.stringify({ stops: { users: { since_ms: 1, refused: 2 } }, allowances: {} }),
  );
  expect(await shownDirectory()).toMatchObject({ stopped: [{ refused: 2, user_ids: [] }] });
  expect((await broker.admin('POST', '/v1/admin/directory/resume', {})).status).toBe(200);
  expect(await shownDirectory()).toMatchObject({ stopped: [] });
});

it('#66 what a file takes away counts for SCIM too, and whom it replaces for the file', async () => {
  await setDirectory({ max_removals: 1, max_removals_percent: 0 });
  const users = await Promise.all([directory.createUser(), directory.createUser()]);
  const [one = '', two = ''] = users.map(({ userName }) => userName);
  await importPeople([
    { user_name: one, external_id: `${one}-1` },
    { user_name: two, external_id: `${two}-1` },
  ]);
  const others = [
    { user_name: one, external_id: `${one}-2` },
    { user_name: two, external_id: `${two}-2` },
  ];
  const dry = await importPeople(others, { dry_run: true });
  expect(await dry.json()).toMatchObject({ users: { replaced: 2 }, within_quota: false });
  await expectRefusal(await importPeople(others), 429, 'directory_quota_reached');
  expect((await importPeople(others.slice(0, 1))).status).toBe(200);
  expect(await scimRefusal(await switchOff(users[1]?.id ?? ''))).toEqual(stopped);
});

describe('a name that a file gives to another person', () => {
  it('#66 is spelled as the file has it, and its groups are those of the line', async () => {
    const name = newName();
    const spelling = name.toUpperCase();
    await importPeople([{ user_name: name, external_id: `${name}-1`, groups: ['Sales', 'Keep'] }]);
    const before = await eventCount();
    await importPeople([{ user_name: spelling, external_id: `${name}-2`, groups: ['keep'] }]);
    expect(await groupMembers('sales')).not.toContain(name);
    expect(await groupMembers('keep')).toContain(spelling);
    expect(await groupMembers('keep')).not.toContain(name);
    const types = (await eventsAfter(before)).map(({ event_type, user }) => [event_type, user]);
    expect(types.slice(0, 3)).toEqual([
      ['admin.directory.import', undefined],
      ['admin.user.create', spelling],
      ['admin.user.deactivate', name],
    ]);
    expect(await userRow(name)).toMatchObject({ epoch: 2, by_name: 0 });
  });

  it('#66 brings neither a deactivation nor groups by administrators, where people are known by something else', async () => {
    await setDirectory({ subject: 'externalId' });
    const name = newName();
    const [first, second] = [`${name}-1`, `${name}-2`];
    await importPeople([{ user_name: name, external_id: first }]);
    await broker.putUser(first, false);
    await broker.admin('PUT', '/v1/admin/groups/prod-admins', { name: 'P', members: [first] });
    const answer = await importPeople([{ user_name: name, external_id: second }]);
    expect(await answer.json()).toMatchObject({ users: { replaced: 1 } });
    expect(await groupMembers('prod-admins')).toEqual([first]);
    expect(await userRow(first)).toMatchObject({ active: 0, held: 1 });
    expect(await userRow(second)).toMatchObject({ active: 1, held: 0 });
    expect((await broker.signIn(client, await enrolledDevice(), second)).decision).toBe(true);
  });
});

it('#66 a directory that names people by something else keeps no spelling of a name out', async () => {
  const user = await directory.createUser();
  expect((await directory.send('DELETE', `/Users/${user.id}`)).status).toBe(204);
  const spelling = user.userName.toUpperCase();
  expect((await broker.signIn(client, await enrolledDevice(), spelling)).decision).toBe(false);
  await setDirectory({ subject: 'externalId' });
  expect((await broker.signIn(client, await enrolledDevice(), spelling)).decision).toBe(true);
  const own = await broker.signIn(client, await enrolledDevice(), user.userName);
  expect(own.context.reason_code).toBe('subject_inactive');
});

it('a name of which nothing is seen is none', async () => {
  const refused = await directory.send('POST', '/Users', { userName: '\u200b\u2060' });
  expect(await scimRefusal(refused)).toEqual([400, 'invalidValue', 'scim_value_invalid']);
  await expectRefusal(await importPeople([{ user_name: '\u200b' }]), 400, 'field_invalid');
});
