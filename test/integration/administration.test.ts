import { adminTokenAnswer, issuerList, modeAnswer } from '@countersign/protocol/admin-access';
import { integrationSecretAnswer } from '@countersign/protocol/admin-integrations';
import { problemDocument } from '@countersign/protocol/problem';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AdminRoute } from '../../worker/src/http/for-admin.ts';
import { routes } from '../../worker/src/http/route-table.ts';
import {
  asAdmin,
  createAdmin,
  eventCount,
  eventsAfter,
  inventoryFile,
} from './test-administration.ts';
import { broker } from './test-broker.ts';
import {
  application,
  certificatePathOf,
  changes,
  enrolledDevice,
  letIssue,
  newGroup,
  newIntegration,
  onlyIssuer,
  post,
  put,
  remove,
  someId,
} from './test-changes.ts';
import { sqlInOrganization } from './test-jobs.ts';
import { organizationObject } from './test-objects.ts';
import { newUser } from './test-users.ts';

// What holds for all that administrators change: it is in the log, it happens once, and not while nothing may change.

let client: TestClient;
beforeAll(async () => {
  client = await broker.registerClient();
});

const codeOf = async (response: Response) =>
  response.ok ? 'ok' : problemDocument.parse(await response.json()).code;

/** Tried where there is a whole state to import: in the conformance tests. */
const elsewhere = [
  'POST /v1/admin/state/import',
  'POST /v1/admin/state/import/rows',
  'POST /v1/admin/state/import/finish',
];

const hasRule = (route: unknown): route is AdminRoute =>
  typeof route === 'function' && 'rule' in route;
const changing = routes.flatMap(([method, path, route]) =>
  hasRule(route) && route.rule.event !== undefined
    ? [{ name: `${method} ${path}`, event: route.rule.event }]
    : [],
);

describe('#64 every change by an administrator', () => {
  it('is tried here', () => {
    const tried = [...Object.keys(changes), ...elsewhere];
    expect(new Set(changing.map(({ name }) => name))).toEqual(new Set(tried));
  });

  it.each(changing.filter(({ name }) => !elsewhere.includes(name)))(
    '$name is in the log of the organization',
    async ({ name, event }) => {
      const before = await eventCount();
      const response = await changes[name]?.();
      expect([response?.ok, response?.ok ? '' : await response?.text()]).toEqual([true, '']);
      // What is created and what is changed have events of their own.
      const noun = event.slice(0, event.lastIndexOf('.'));
      const last = (await eventsAfter(before)).filter(({ event_type }) =>
        event_type.startsWith(`${noun}.`),
      );
      expect(last.at(-1)).toMatchObject({
        outcome: 'SUCCESS',
        actor: { type: 'admin', id: expect.stringMatching(/^(owner|adm_.+)$/) },
      });
    },
  );

  it('names the administrator, and is in a chain that verifies', async () => {
    const { id, token } = await createAdmin('application_manager');
    const before = await eventCount();
    await asAdmin(token, 'PUT', `/v1/admin/applications/${someId()}`, application);
    expect(await eventsAfter(before)).toMatchObject([
      { event_type: 'admin.application.create', actor: { type: 'admin', id } },
    ]);
    const page = await organizationObject().adminEvents(0, 1000);
    if (!page.ok) throw new Error(page.code);
    let hash = new Uint8Array(32);
    for (const row of page.rows) {
      const input = new Uint8Array([...hash, ...new TextEncoder().encode(row.record)]);
      hash = new Uint8Array(await crypto.subtle.digest('SHA-256', input));
      expect(new Uint8Array(row.hash)).toEqual(hash);
    }
    expect(page.head).toEqual({ count: page.rows.length, hash });
  });

  it('that changes nothing is not in the log', async () => {
    const id = someId();
    await put(`/v1/admin/applications/${id}`, application);
    const group = await newGroup();
    const before = await eventCount();
    await put(`/v1/admin/applications/${id}`, application);
    await put(`/v1/admin/groups/${group}`, { name: 'Pilot', members: ['ada', 'ada'] });
    await put('/v1/admin/mode', { read_only: false });
    await put('/v1/admin/applications/A', application);
    expect(await eventCount()).toBe(before);
  });
});

describe('an Idempotency-Key', () => {
  const create = (key: string, body: unknown = { name: 'Ada', role: 'help_desk' }) =>
    asAdmin(ownerToken, 'POST', '/v1/admin/admins', body, { 'Idempotency-Key': key });
  let ownerToken: string;
  beforeAll(async () => {
    ({ token: ownerToken } = await createAdmin('owner'));
  });

  it('gives the same answer, secret and all, and creates once', async () => {
    const key = randomText();
    const [first, second] = [await create(key), await create(key)];
    expect([first.status, second.status]).toEqual([201, 201]);
    const answer = adminTokenAnswer.parse(await first.json());
    expect(await second.json()).toEqual(answer);
    expect(second.headers.get('Idempotency-Replayed')).toBe('true');
    const rows = JSON.stringify(await sqlInOrganization('SELECT * FROM idempotency_keys'));
    expect(rows).toContain(key);
    expect(rows).not.toContain(answer.admin_token);
  });

  it('creates once when twenty come at once', async () => {
    const key = randomText();
    const before = await eventCount();
    const responses = await Promise.all(Array.from({ length: 20 }, () => create(key)));
    const codes = new Set(await Promise.all(responses.map(codeOf)));
    expect(codes.has('ok')).toBe(true);
    expect([...codes].filter((code) => code !== 'ok')).toEqual(
      codes.size === 1 ? [] : ['idempotency_in_progress'],
    );
    expect(await eventCount()).toBe(before + 1);
  });

  it('is refused with another request, and is free again after a refusal', async () => {
    const key = randomText();
    await create(key);
    expect(await codeOf(await create(key, { name: 'Bob', role: 'help_desk' }))).toBe(
      'idempotency_key_reused',
    );
    const other = randomText();
    expect(await codeOf(await create(other, { name: '', role: 'help_desk' }))).toBe(
      'field_invalid',
    );
    expect(await codeOf(await create(other))).toBe('ok');
  });

  it('of another administrator is another key', async () => {
    const key = randomText();
    await create(key);
    const { token } = await createAdmin('owner');
    const body = { name: 'Bob', role: 'help_desk' };
    const response = await asAdmin(token, 'POST', '/v1/admin/admins', body, {
      'Idempotency-Key': key,
    });
    expect(await codeOf(response)).toBe('ok');
  });

  it('says that it does not know what became of a request that was broken off', async () => {
    const key = randomText();
    await create(key);
    const forget = (beganAtMs: number) =>
      sqlInOrganization(
        'UPDATE idempotency_keys SET sealed_answer = NULL, began_at_ms = ? WHERE idempotency_key = ?',
        beganAtMs,
        key,
      );
    await forget(Date.now());
    expect(await codeOf(await create(key))).toBe('idempotency_in_progress');
    await forget(Date.now() - 120_000);
    expect(await codeOf(await create(key))).toBe('idempotency_outcome_unknown');
    await forget(Date.now() - 25 * 3_600_000);
    expect(await codeOf(await create(key))).toBe('ok');
  });

  it.each(['', 'a b', 'a'.repeat(129)])('is none: %j', async (key) => {
    const response = await create(key);
    expect(await codeOf(response)).toBe('field_invalid');
  });
});

describe('while the broker is read-only', () => {
  const setReadOnly = async (read_only: boolean) =>
    modeAnswer.parse(
      await (await put('/v1/admin/mode', { read_only, retry_after_seconds: 77 })).json(),
    );
  afterAll(() => setReadOnly(false));

  it('people sign in, trust can be taken away, and nothing else changes', async () => {
    const id = await newIntegration();
    const device = await enrolledDevice();
    const spare = await FakeDevice.create();
    const { enrollment_token } = await broker.createEnrollmentToken(spare.hardwareId);
    await put(`/v1/admin/integrations/${id}/state`, { state: { mode: 'all_users' } });
    expect(await setReadOnly(true)).toMatchObject({ read_only: true, retry_after_seconds: 77 });

    const refused = [
      await broker.post('/v1/enrollments', spare.enrollmentRequest(enrollment_token)),
      await broker.sendRenewal(device),
      await post('/v1/admin/integrations', inventoryFile),
      await put(`/v1/admin/integrations/${id}/state`, {
        state: { mode: 'test_groups', groups: ['a'] },
      }),
      await put('/v1/admin/applications/readonly', application),
      await post('/v1/admin/admins', { name: 'Ada', role: 'help_desk' }),
      await post('/v1/admin/enrollment-tokens', {
        hardware_id: spare.hardwareId,
        ttl_seconds: 60,
      }),
    ];
    for (const response of refused) {
      expect([response.status, response.headers.get('Retry-After')]).toEqual([503, '77']);
      expect(await codeOf(response)).toBe('read_only');
    }
    const { decision } = await broker.signIn(client, device, newUser());
    expect(decision).toBe(true);
    const permitted = [
      await broker.admin('GET', '/v1/admin/integrations'),
      await put(`/v1/admin/integrations/${id}/state`, { state: { mode: 'disabled' } }),
      await post(`/v1/admin/users/${newUser()}/revoke`, { reason: 'unspecified' }),
      await post(`${await certificatePathOf(device)}/revoke`, { reason: 'keyCompromise' }),
      await remove(`/v1/admin/integrations/${id}`),
    ];
    expect(permitted.map(({ ok }) => ok)).toEqual(permitted.map(() => true));

    expect(await setReadOnly(false)).toMatchObject({ read_only: false });
    const enrolled = await broker.enroll(spare, enrollment_token);
    expect(enrolled.device_id).toBeDefined();
  });
});

describe('users whom an administrator has made known', () => {
  const standing = async (user: string) => {
    const answer = await organizationObject().userStanding(user);
    return answer.ok ? answer.standing : answer.code;
  };

  it('are known; those who only signed in are not', async () => {
    const [known, stranger] = [newUser(), newUser()];
    await broker.putUser(known, true);
    await broker.signIn(client, await enrolledDevice(), stranger);
    expect([await standing(known), await standing(stranger)]).toEqual(['active', 'unknown']);
    await broker.putUser(known, false);
    expect(await standing(known)).toBe('inactive');
    expect(await standing(newUser())).toBe('unknown');
  });

  it('alone may be named by an enrollment, and renew, where users have to be known', async () => {
    const [known, stranger] = [newUser(), newUser()];
    const device = await enrolledDevice();
    expect((await broker.signIn(client, device, stranger)).decision).toBe(true);
    await broker.putUser(known, true);
    const enroll = async (user: string) => {
      const fresh = await FakeDevice.create();
      const { enrollment_token } = await broker.createEnrollmentToken(fresh.hardwareId);
      const request = { ...fresh.enrollmentRequest(enrollment_token), user };
      const answer = await broker.post('/v1/enrollments', request);
      return answer.ok ? 'enrolled' : problemDocument.parse(await answer.json()).code;
    };
    const mode = { read_only: false, require_known_users: true };
    expect((await broker.admin('PUT', '/v1/admin/mode', mode)).status).toBe(200);
    try {
      expect([await enroll(stranger), await enroll(known)]).toEqual([
        'enrollment_user_unknown',
        'enrolled',
      ]);
      expect(await (await broker.sendRenewal(device)).json()).toMatchObject({
        code: 'enrollment_user_unknown',
      });
    } finally {
      await broker.admin('PUT', '/v1/admin/mode', { ...mode, require_known_users: false });
    }
    expect((await broker.sendRenewal(device)).status).toBe(200);
  });
});

describe('issuers', () => {
  const retire = (id: string, override: boolean) =>
    post(`/v1/admin/issuers/${id}/retire`, { override });
  afterAll(() => letIssue(undefined));

  it('show how many certificates depend on them', async () => {
    const before = issuerList.parse(
      await (await broker.admin('GET', '/v1/admin/issuers')).json(),
    ).issuers;
    expect(before).toMatchObject([{ standing: 'issuing', subject: 'MTLS Certificate Authority' }]);
    const device = await FakeDevice.create();
    await broker.enroll(device);
    const after = issuerList.parse(
      await (await broker.admin('GET', '/v1/admin/issuers')).json(),
    ).issuers;
    expect(after[0]?.live_certificates).toBe((before[0]?.live_certificates ?? 0) + 1);
  });

  it('the one that issues is not retired, and no other while certificates depend on it', async () => {
    const id = await onlyIssuer();
    expect(await codeOf(await retire(id, true))).toBe('issuer_in_use');
    expect(await codeOf(await retire('A'.repeat(43), true))).toBe('issuer_not_found');
    const unknown = await post(`/v1/admin/issuers/${'A'.repeat(43)}/activate`, {});
    expect(await codeOf(unknown)).toBe('issuer_not_found');

    const device = await enrolledDevice();
    await letIssue('A'.repeat(43));
    expect(await codeOf(await retire(id, false))).toBe('issuer_in_use');
    const retired = await retire(id, true);
    expect(await retired.json()).toMatchObject({ issuer_id: id, standing: 'retired' });
    const denied = await broker.signIn(client, device, newUser());
    expect([denied.decision, denied.context.reason_code]).toEqual([false, 'issuer_not_active']);

    const activated = await post(`/v1/admin/issuers/${id}/activate`, {});
    expect(await activated.json()).toMatchObject({ standing: 'issuing', changed: true });
    const allowed = await broker.signIn(client, device, newUser());
    expect(allowed.decision).toBe(true);
  });
});

it('an integration that is created twice with one key shows one secret', async () => {
  const key = randomText();
  const { token } = await createAdmin('application_manager');
  const create = () =>
    asAdmin(token, 'POST', '/v1/admin/integrations', inventoryFile, { 'Idempotency-Key': key });
  const answers = [await create(), await create()];
  const [first, second] = await Promise.all(
    answers.map(async (answer) => integrationSecretAnswer.parse(await answer.json())),
  );
  expect(second).toEqual(first);
});
