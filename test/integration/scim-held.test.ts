import type { TestClient } from '@countersign/testkit/broker-client';
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { importOrganizationRows } from '../../worker/src/directory/import-organization.ts';
import { broker } from './test-broker.ts';
import { enrolledDevice } from './test-changes.ts';
import {
  denialOf,
  forgetRemovals,
  newName,
  scimRefusal,
  seenUser,
  TestDirectory,
  userRow,
} from './test-directory.ts';
import { sqlInOrganization } from './test-jobs.ts';
import { runInOrganization } from './test-objects.ts';

// Whom administrators and the directory end, in whatever spelling of the name.

let directory: TestDirectory;
let client: TestClient;
beforeAll(async () => {
  directory = await TestDirectory.create();
  client = await broker.registerClient();
});
beforeEach(forgetRemovals);

describe('a person in several spellings', () => {
  it.each<readonly [string, (name: string) => Promise<void>]>([
    [
      'deleted',
      async (name) => {
        const user = await directory.createUser({ userName: name });
        await broker.putUser(name, false);
        await directory.send('DELETE', `/Users/${user.id}`);
      },
    ],
    [
      'renamed away',
      async (name) => {
        const user = await directory.createUser({ userName: name });
        await broker.putUser(name, false);
        const rename = { op: 'replace', path: 'userName', value: newName() };
        await directory.patch(`/Users/${user.id}`, [rename]);
      },
    ],
    ['never in the directory', (name) => broker.putUser(name, false).then(() => undefined)],
  ])(
    '#66 whom an administrator has deactivated, and who is %s, comes back in no other spelling',
    async (_, prepare) => {
      const userName = newName();
      await prepare(userName);
      const upper = userName.toUpperCase();
      const user = await directory.createUser({ userName: upper });
      expect(user).toMatchObject({ active: false });
      expect(await userRow(upper)).toMatchObject({ active: 0, held: 1 });
      expect(await denialOf(client, upper)).toBe('subject_inactive');
      await broker.putUser(upper, true);
      for (const active of [false, true]) {
        await directory.patch(`/Users/${user.id}`, [{ op: 'replace', value: { active } }]);
      }
      expect(await denialOf(client, upper)).toBeUndefined();
    },
  );

  it('#66 whom an administrator ends in one spelling is ended in all of them, and let in so again', async () => {
    const user = await directory.createUser();
    const upper = user.userName.toUpperCase();
    const device = await enrolledDevice();
    expect((await broker.signIn(client, device, upper)).decision).toBe(true);
    const revoke = `/v1/admin/users/${encodeURIComponent(user.userName)}/revoke`;
    expect((await broker.admin('POST', revoke, { reason: 'unspecified' })).status).toBe(202);
    expect(await userRow(upper)).toMatchObject({ active: 1, epoch: 2 });
    const lower = user.userName.toLowerCase();
    await broker.putUser(lower, false);
    for (const name of [user.userName, upper, lower]) {
      expect([name, await userRow(name)]).toMatchObject([name, { active: 0, held: 1 }]);
    }
    expect(await directory.user(user.id)).toMatchObject({ active: false });
    const { version } = (await directory.user(user.id)).meta;
    await broker.putUser(lower, true);
    const released = await directory.user(user.id);
    expect(released).toMatchObject({ active: true });
    expect(released.meta.version).not.toBe(version);
    expect(await userRow(upper)).toMatchObject({ active: 1, held: 0, epoch: 3 });
  });

  const composed = `\u00e9va.${newName()}`;
  it.each([
    ['letters with their accents apart', composed, composed.normalize('NFD')],
    ['letters beyond A to Z in capitals', `\u00e9mil.${newName()}`, undefined],
    [
      'letters of full width',
      `bob.${newName()}`,
      (name: string) => name.replace('bob', '\uff42\uff4f\uff42'),
    ],
    ['an invisible sign', newName(), (name: string) => `${name}\u200b`],
    ['a space behind', newName(), (name: string) => `${name} `],
  ] as const)('#66 and %s: they are one', async (_, userName, spell) => {
    const other = typeof spell === 'function' ? spell(userName) : (spell ?? userName.toUpperCase());
    const user = await directory.createUser({ userName });
    expect(await scimRefusal(await directory.send('POST', '/Users', { userName: other }))).toEqual([
      409,
      'uniqueness',
      'scim_conflict',
    ]);
    const device = await enrolledDevice();
    expect((await broker.signIn(client, device, other)).decision).toBe(true);
    await directory.patch(`/Users/${user.id}`, [{ op: 'replace', value: { active: false } }]);
    expect(await userRow(other)).toMatchObject({ active: 0, epoch: 2 });
    expect(await denialOf(client, other)).toBe('subject_inactive');
    await directory.patch(`/Users/${user.id}`, [{ op: 'replace', value: { active: true } }]);
    expect([await denialOf(client, other), await denialOf(client, userName)]).toEqual([
      undefined,
      undefined,
    ]);
    // With new certificates: what was bound before is void.
    await vi.waitFor(async () => {
      expect((await broker.signIn(client, device, other)).decision).toBe(false);
    }, 30_000);
    await broker.putUser(other, false);
    expect(await directory.user(user.id)).toMatchObject({ active: false });
  });

  it('#66 who comes back in another spelling signs in by each of them', async () => {
    const user = await directory.createUser();
    expect(await denialOf(client, user.userName)).toBeUndefined();
    expect((await directory.send('DELETE', `/Users/${user.id}`)).status).toBe(204);
    expect(await denialOf(client, user.userName)).toBe('subject_inactive');
    await directory.createUser({ userName: user.userName.toUpperCase() });
    expect(await denialOf(client, user.userName)).toBeUndefined();
    expect(await denialOf(client, user.userName.toUpperCase())).toBeUndefined();
  });

  it('ids that no directory knows are each their own, in capitals and small letters', async () => {
    const name = newName();
    await broker.putUser(name.toUpperCase(), true);
    await broker.putUser(name, false);
    expect(await userRow(name.toUpperCase())).toMatchObject({ active: 1, epoch: 1 });
  });

  it('#66 the directory ends what is bound in another spelling, also where the administrator was first', async () => {
    const user = await directory.createUser();
    await broker.putUser(user.userName, false);
    const upper = user.userName.toUpperCase();
    // As it was left by a deactivation of one spelling alone.
    await seenUser(upper);
    await directory.patch(`/Users/${user.id}`, [{ op: 'replace', value: { active: false } }]);
    expect(await userRow(upper)).toMatchObject({ active: 0, epoch: 2 });
  });

  it('#66 whom an export from before directories has as inactive, no directory lets in again', async () => {
    const [off, on, ended] = [newName(), newName(), newName()];
    const epoch = { epoch: 2, epoch_since_ms: 0, provisioned: 1 };
    const importId = 'import-of-an-older-version';
    await runInOrganization(({ storage: { sql } }) => {
      sql.exec(
        "INSERT INTO imports VALUES (1000, ?, '2026-01-01T00:00:00Z', '[]', 1, NULL)",
        importId,
      );
      importOrganizationRows(sql, importId, 'users', [
        { user_id: off, active: 0, ...epoch },
        { user_id: on, active: 1, ...epoch },
        { user_id: ended, active: 0, ...epoch, held: 0, name_key: 'another' },
      ]);
      sql.exec('DELETE FROM imports WHERE import_id = ?', importId);
    });
    expect(await userRow(ended)).toMatchObject({ name_key: ended.toLowerCase(), by_name: 1 });
    expect(await userRow(off)).toMatchObject({ held: 1, by_name: 0 });
    const active = async (userName: string) => (await directory.createUser({ userName })).active;
    expect([await active(off), await active(on), await active(ended)]).toEqual([false, true, true]);
  });

  it('#66 counts for the quota when a directory ends them in another spelling, and under a name that somebody is given', async () => {
    await sqlInOrganization('DELETE FROM directory_users');
    const stopped = [429, undefined, 'directory_quota_reached'];
    const quota = { max_removals: 2, max_removals_percent: 0, period_seconds: 3600 };
    await broker.admin('PUT', '/v1/admin/directory', quota);
    const names = Array.from({ length: 6 }, newName);
    for (const name of names) {
      await seenUser(name);
    }
    const [a = '', b = '', c = '', ...rest] = names;
    const off = (name: string) =>
      directory.send('POST', '/Users', { userName: name.toUpperCase(), active: 'False' });
    expect((await off(a)).status).toBe(201);
    const dummy = await directory.createUser({ active: false });
    const rename = (userName: string) =>
      directory.patch(`/Users/${dummy.id}`, [{ op: 'replace', value: { userName } }]);
    expect((await rename(b)).status).toBe(200);
    expect(await scimRefusal(await rename(c))).toEqual(stopped);
    for (const name of rest) expect(await scimRefusal(await off(name))).toEqual(stopped);
    const active = await sqlInOrganization(
      `SELECT user_id FROM users WHERE active = 1 AND user_id IN (?, ?, ?, ?, ?, ?)`,
      ...names,
    );
    expect(active).toHaveLength(4);
  });
});
