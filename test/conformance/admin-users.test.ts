// The owner's interface to users: what it takes for a user id, what it answers, and what the log keeps of it.
import { jobAnswer, userAnswer, userChangeAnswer } from '@countersign/protocol/admin-users';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectDenied, expectProblem, expectStandardHeaders } from '../support/expect-answer.ts';
import { enrollDevice } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
let client: TestClient;
beforeAll(async () => {
  broker = await TestBroker.start();
  client = await broker.client.registerClient();
});
afterAll(() => broker?.stopAndRemove());

const newUser = () => `user-${randomText(8)}`;

describe('a user', () => {
  it('is on record with the first binding, and shows what is being done about them', async () => {
    const user = newUser();
    await expectProblem(
      await broker.client.admin('GET', `/v1/admin/users/${user}`),
      404,
      'user_not_found',
    );
    await broker.client.signIn(client, await enrollDevice(broker), user);
    const fresh = {
      user_id: user,
      active: true,
      provisioned: false,
      epoch: 1,
      bound_shards: 1,
      jobs: [],
    };
    expect(await broker.client.user(user)).toEqual(fresh);

    const response = await broker.client.admin('PUT', `/v1/admin/users/${user}`, { active: false });
    expect(response.status).toBe(202);
    expectStandardHeaders(response);
    const change = userChangeAnswer.parse(await response.json());
    expect(change).toEqual({
      user_id: user,
      active: false,
      epoch: 2,
      status: 'pending',
      job_id: expect.stringMatching(/^job_[\w-]{22}$/),
    });
    const job = await broker.client.admin('GET', `/v1/admin/jobs/${change.job_id}`);
    expect(job.status).toBe(202);
    expect(jobAnswer.parse(await job.json())).toMatchObject({
      job_id: change.job_id,
      status: 'pending',
      user_id: user,
      epoch: 1,
      reason: 'deactivated',
      shards: { total: 1 },
    });
    expect(await broker.client.user(user)).toMatchObject({
      active: false,
      epoch: 2,
      jobs: [{ job_id: change.job_id }],
    });
    const active = await broker.client.admin('PUT', `/v1/admin/users/${user}`, { active: true });
    expect(active.status).toBe(200);
    expect(await active.json()).toEqual({
      user_id: user,
      active: true,
      epoch: 2,
      status: 'complete',
    });
  });

  it('who is revoked stays as active as before', async () => {
    const [active, inactive] = [newUser(), newUser()];
    await broker.client.putUser(inactive, false);
    expect(await broker.client.revokeUser(active)).toMatchObject({ active: true, epoch: 2 });
    expect(await broker.client.revokeUser(inactive)).toMatchObject({ active: false, epoch: 3 });
    const { jobs } = await broker.client.user(active);
    expect(jobs).toMatchObject([{ reason: 'unspecified', epoch: 1 }]);
  });

  it('who is inactive is refused in this moment, and every job is unknown that nobody began', async () => {
    const user = newUser();
    const device = await enrollDevice(broker);
    await broker.client.putUser(user, false);
    expectDenied(await broker.client.signIn(client, device, user), 'subject_inactive');
    for (const id of ['x', `job_${randomText(16)}`, "'", '%00', '__proto__']) {
      const job = await broker.client.admin('GET', `/v1/admin/jobs/${id}`);
      await expectProblem(job, 404, 'job_not_found');
    }
  });

  it('leaves a line in the log with each change', async () => {
    const user = newUser();
    const { job_id } = await broker.client.putUser(user, false);
    await broker.client.putUser(user, true);
    await broker.client.revokeUser(user);
    const lines = () => broker.logLines.filter((line) => line.includes(user));
    const events = () => lines().map((line) => /"event":"(user_\w+)"/.exec(line)?.[1]);
    // Lines of the log come through a pipe, behind the answer.
    await expect
      .poll(events, { timeout: 5_000 })
      .toEqual(['user_deactivated', 'user_reactivated', 'user_revoked']);
    expect(lines()[0]).toContain(`"job_id":"${job_id}"`);
    expect(lines()[2]).toContain('"reason":"unspecified"');
  });
});

describe('a user id', () => {
  const names = [
    'ada@example.com',
    'a/b',
    'a%2Fb',
    'a?b#c',
    'a b+c',
    'ä ö ü',
    'e\u0301',
    '日本語',
    '👩‍💻',
    '\u0000',
    'a\r\nSet-Cookie: b',
    '"\'`;--',
    '\\',
    '__proto__',
    'a;b=c',
    '%',
    '💥'.repeat(128),
    'x'.repeat(256),
  ];

  it.each(names)('may be %j', async (name) => {
    const user = `${newUser()}${name}`.slice(-256);
    const change = await broker.client.putUser(user, false);
    expect(change.user_id).toBe(user);
    expect((await broker.client.user(user)).user_id).toBe(user);
    expect((await broker.client.revokeUser(user)).user_id).toBe(user);
    const device = await enrollDevice(broker);
    expectDenied(await broker.client.signIn(client, device, user), 'subject_inactive');
  });

  it('is another one in another case, form or spelling', async () => {
    const user = `${newUser()}é`;
    await broker.client.putUser(user, false);
    for (const other of [user.toUpperCase(), user.normalize('NFD'), `${user} `, ` ${user}`]) {
      const asked = await broker.client.admin(
        'GET',
        `/v1/admin/users/${encodeURIComponent(other)}`,
      );
      await expectProblem(asked, 404, 'user_not_found');
    }
    // The same one, with every byte encoded.
    const encoded = [...new TextEncoder().encode(user)]
      .map((byte) => `%${byte.toString(16).padStart(2, '0')}`)
      .join('');
    const asked = await broker.client.admin('GET', `/v1/admin/users/${encoded}`);
    expect(userAnswer.parse(await asked.json()).user_id).toBe(user);
  });

  it.each([
    ['%', 'a percent sign alone'],
    ['%4', 'half an encoding'],
    ['%zz', 'no encoding'],
    ['%ff', 'no UTF-8'],
    ['%c0%80', 'an overlong zero'],
    ['%ed%a0%80', 'half a surrogate pair'],
    ['x'.repeat(257), '257 characters'],
  ])('is not %s: %s', async (segment) => {
    for (const [method, path] of [
      ['GET', ''],
      ['PUT', ''],
      ['POST', '/revoke'],
    ] as const) {
      const body = method === 'PUT' ? { active: false } : { reason: 'unspecified' };
      const response = await broker.client.admin(
        method,
        `/v1/admin/users/${segment}${path}`,
        method === 'GET' ? undefined : body,
      );
      await expectProblem(response, 400, 'field_invalid', 'id');
    }
  });

  it('is one segment', async () => {
    for (const path of ['', 'a/b', 'a/revoke/b', 'a//revoke']) {
      const response = await broker.client.admin('PUT', `/v1/admin/users/${path}`, {
        active: false,
      });
      await expectProblem(response, 404, 'not_found');
    }
  });
});

describe('a change', () => {
  it.each<[unknown, string]>([
    [{}, 'active'],
    [{ active: 'false' }, 'active'],
    [{ active: 0 }, 'active'],
    [{ active: null }, 'active'],
    [{ active: false, epoch: 9 }, 'epoch'],
    [[], '(body)'],
  ])('to %j is refused, and changes nothing', async (body, field) => {
    const user = newUser();
    const response = await broker.client.admin('PUT', `/v1/admin/users/${user}`, body);
    await expectProblem(response, 400, 'field_invalid', field);
    const asked = await broker.client.admin('GET', `/v1/admin/users/${user}`);
    await expectProblem(asked, 404, 'user_not_found');
  });

  it.each<[unknown, string]>([
    [{}, 'reason'],
    [{ reason: 'because' }, 'reason'],
    [{ reason: 'unspecified', users: ['*'] }, 'users'],
  ])('by a revocation with %j is refused, and changes nothing', async (body, field) => {
    const user = newUser();
    const response = await broker.client.admin('POST', `/v1/admin/users/${user}/revoke`, body);
    await expectProblem(response, 400, 'field_invalid', field);
    const asked = await broker.client.admin('GET', `/v1/admin/users/${user}`);
    await expectProblem(asked, 404, 'user_not_found');
  });

  it('has its methods, and no others', async () => {
    for (const [method, path, allow] of [
      ['DELETE', '/v1/admin/users/a', 'GET, PUT'],
      ['POST', '/v1/admin/users/a', 'GET, PUT'],
      ['GET', '/v1/admin/users/a/revoke', 'POST'],
      ['PUT', '/v1/admin/jobs/a', 'GET'],
    ] as const) {
      const response = await broker.client.admin(method, path);
      expect(response.headers.get('Allow')).toBe(allow);
      await expectProblem(response, 405, 'method_not_allowed');
    }
  });
});
