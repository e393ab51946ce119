import { type AdminRole, adminRoles } from '@countersign/protocol/admin-access';
import { problemDocument } from '@countersign/protocol/problem';
import { beforeAll, describe, expect, it } from 'vitest';
import type { AdminRoute } from '../../worker/src/http/for-admin.ts';
import { routes } from '../../worker/src/http/route-table.ts';
import { asAdmin, createAdmin, eventCount, eventsAfter } from './test-administration.ts';
import { broker } from './test-broker.ts';
import { sqlInOrganization } from './test-jobs.ts';

// Every address of the admin API, asked by every role. The table says it a second time, on purpose.

/** Owner, administrator, application manager, help desk, read-only; not the provisioner, who has only SCIM. */
const everybody = 'o a m h r';
const expected: Readonly<Record<string, string>> = {
  'PUT /v1/admin/applications/:id': 'o a m',
  'PUT /v1/admin/clients/:id': 'o a m',
  'POST /v1/admin/enrollment-tokens': 'o a m h',
  'GET /v1/admin/devices': everybody,
  'GET /v1/admin/devices/:id': everybody,
  'POST /v1/admin/devices/:id/revoke': 'o a h',
  'POST /v1/admin/devices/:id/unblock': 'o a h',
  'POST /v1/admin/devices/:id/certificates/:sha256/revoke': 'o a h',
  'POST /v1/admin/devices/:id/certificates/:sha256/hold': 'o a h',
  'POST /v1/admin/devices/:id/certificates/:sha256/release': 'o a h',
  'GET /v1/admin/enrollment-approvals': everybody,
  'POST /v1/admin/devices/:id/enrollment-approvals/:sha256': 'o a h',
  'GET /v1/admin/shards/:shard/decisions': everybody,
  'GET /v1/admin/users/:id': everybody,
  'PUT /v1/admin/users/:id': 'o a h',
  'POST /v1/admin/users/:id/revoke': 'o a h',
  'GET /v1/admin/jobs/:id': everybody,
  'GET /v1/admin/log': everybody,
  'GET /v1/admin/log/settings': everybody,
  'PUT /v1/admin/log/settings': 'o a',
  'POST /v1/admin/log/rebuild': 'o a',
  'GET /v1/admin/log-streams': everybody,
  'POST /v1/admin/log-streams': 'o a',
  'DELETE /v1/admin/log-streams/:id': 'o a',
  'POST /v1/admin/log-streams/:id/test': 'o a',
  'POST /v1/admin/log-streams/:id/resume': 'o a',
  'GET /v1/admin/checkpoints': everybody,
  'GET /v1/admin/organization/events': everybody,
  'GET /v1/admin/self': everybody,
  'GET /v1/admin/admins': 'o a',
  'POST /v1/admin/admins': 'o',
  'PUT /v1/admin/admins/:id': 'o',
  'DELETE /v1/admin/admins/:id': 'o',
  'POST /v1/admin/admins/:id/token': 'o',
  'GET /v1/admin/mode': everybody,
  'PUT /v1/admin/mode': 'o a',
  'GET /v1/admin/device-trust': everybody,
  'PUT /v1/admin/device-trust': 'o a',
  'GET /v1/admin/integrations': everybody,
  'POST /v1/admin/integrations': 'o a m',
  'GET /v1/admin/integrations/:id': everybody,
  'PUT /v1/admin/integrations/:id': 'o a m',
  'DELETE /v1/admin/integrations/:id': 'o a m',
  'GET /v1/admin/integrations/:id/impact': everybody,
  'GET /v1/admin/integrations/:id/scripts': everybody,
  'POST /v1/admin/integrations/:id/secret': 'o a m',
  'PUT /v1/admin/integrations/:id/state': 'o a m',
  'POST /v1/admin/integrations/:id/webhook-secret': 'o a m',
  'POST /v1/admin/integrations/:id/test-credentials': 'o a m',
  'PUT /v1/admin/integrations/:id/inventory': 'o a m',
  'GET /v1/admin/applications/:id/policy': everybody,
  'GET /v1/admin/applications/:id/fail-open': everybody,
  'PUT /v1/admin/applications/:id/fail-open': 'o a m',
  'PUT /v1/admin/applications/:id/policy': 'o a m',
  'GET /v1/admin/applications/:id/policy/versions': everybody,
  'POST /v1/admin/applications/:id/policy/simulate': everybody,
  'POST /v1/admin/applications/:id/policy/what-if': everybody,
  'GET /v1/admin/applications': everybody,
  'GET /v1/admin/global-policy': everybody,
  'PUT /v1/admin/global-policy': 'o a m',
  'GET /v1/admin/global-policy/versions': everybody,
  'POST /v1/admin/global-policy/simulate': everybody,
  'GET /v1/admin/applications/:id/access': everybody,
  'PUT /v1/admin/applications/:id/access': 'o a m',
  'GET /v1/admin/applications/:id/access/versions': everybody,
  'GET /v1/admin/decisions/:id/receipt': everybody,
  'GET /v1/admin/learn-more': everybody,
  'PUT /v1/admin/learn-more': 'o a',
  'GET /v1/admin/zones': everybody,
  'PUT /v1/admin/zones/:id': 'o a m',
  'DELETE /v1/admin/zones/:id': 'o a m',
  'GET /v1/admin/groups': everybody,
  'GET /v1/admin/groups/:id': everybody,
  'PUT /v1/admin/groups/:id': 'o a m',
  'DELETE /v1/admin/groups/:id': 'o a m',
  'GET /v1/admin/directory': everybody,
  'PUT /v1/admin/directory': 'o a',
  'POST /v1/admin/directory/resume': 'o a',
  'PUT /v1/admin/directory/import': 'o a',
  'GET /v1/admin/issuers': everybody,
  'POST /v1/admin/issuers/:id/activate': 'o a',
  'POST /v1/admin/issuers/:id/retire': 'o a',
  'GET /v1/admin/archived-chains': everybody,
  'GET /v1/admin/archived-chains/:id/decisions': everybody,
  'GET /v1/admin/state': 'o',
  'GET /v1/admin/state/marks': 'o',
  'GET /v1/admin/state/rows': 'o',
  'POST /v1/admin/state/import': 'o',
  // While an import is running nobody but the owner token is known: others are nobody.
  'POST /v1/admin/state/import/rows': '',
  'POST /v1/admin/state/import/finish': '',
};

const letters: Readonly<Record<AdminRole, string>> = {
  owner: 'o',
  administrator: 'a',
  application_manager: 'm',
  help_desk: 'h',
  read_only: 'r',
  provisioner: 'p',
};

const adminRoutes = routes.filter(([, path]) => path.startsWith('/v1/admin'));
const isAdminRoute = (route: unknown): route is AdminRoute =>
  typeof route === 'function' && 'rule' in route;

/** An address of this route at which there is nothing. */
const placeOf = (path: string) =>
  path
    .replace(':shard', '0')
    .replace(':sha256', 'A'.repeat(43))
    .replace(':id', `nobody-${'a'.repeat(15)}`);

describe('every address of the admin API', () => {
  it('is in the table of this test', () => {
    const found = adminRoutes.map(([method, path]) => `${method} ${path}`);
    expect(new Set(found)).toEqual(new Set(Object.keys(expected)));
  });

  it('is made by forAdmin, and one that changes something has an event', () => {
    const bare = adminRoutes.filter(([, , route]) => !isAdminRoute(route)).map(([, path]) => path);
    expect(bare).toEqual([]);
    const silent = adminRoutes.filter(
      ([method, , route]) =>
        method !== 'GET' && isAdminRoute(route) && route.rule.event === undefined,
    );
    // To have a message sent changes nothing, nor does a question that is too long for an address.
    expect(silent.map(([, path]) => path)).toEqual([
      '/v1/admin/applications/:id/policy/simulate',
      '/v1/admin/applications/:id/policy/what-if',
      '/v1/admin/global-policy/simulate',
      '/v1/admin/log-streams/:id/test',
    ]);
  });

  describe.each(adminRoles)('asked by %s', (role) => {
    let token: string;
    beforeAll(async () => {
      ({ token } = await createAdmin(role));
    });

    it('#61 is refused where the table does not permit it, and reached where it does', async () => {
      const before = await eventCount();
      const wrong: unknown[] = [];
      for (const [method, path] of adminRoutes) {
        const isPermitted = expected[`${method} ${path}`]?.includes(letters[role]) === true;
        // A body that no route accepts: who is permitted changes nothing either.
        const body = method === 'GET' || method === 'DELETE' ? undefined : { not: 'known' };
        const response = await asAdmin(token, method, placeOf(path), body);
        const { code } = response.ok ? { code: '' } : problemDocument.parse(await response.json());
        const isImporting = expected[`${method} ${path}`] === '';
        const refused = isImporting ? 'admin_authentication_failed' : 'admin_forbidden';
        if (isPermitted === (code === refused)) wrong.push([method, path, response.status, code]);
      }
      expect(wrong).toEqual([]);
      const changes = (await eventsAfter(before)).filter(
        // These need no body, and nothing that is there.
        ({ event_type }) => event_type !== 'admin.log.rebuild',
      );
      expect(changes).toEqual([]);
    });
  });

  it('says who asks', async () => {
    const { id, token } = await createAdmin('help_desk');
    const self = await asAdmin(token, 'GET', '/v1/admin/self');
    expect(await self.json()).toMatchObject({ admin_id: id, role: 'help_desk' });
    const owner = await broker.admin('GET', '/v1/admin/self');
    expect(await owner.json()).toMatchObject({ admin_id: 'owner', role: 'owner' });
  });
});

describe('a token of an administrator', () => {
  const codeOf = async (response: Response) =>
    response.ok ? 'ok' : problemDocument.parse(await response.json()).code;
  const ask = (token: string) => asAdmin(token, 'GET', '/v1/admin/self').then(codeOf);

  it('is stored as its SHA-256 alone', async () => {
    const { token } = await createAdmin('read_only');
    const rows = await sqlInOrganization('SELECT * FROM admins');
    expect(JSON.stringify(rows)).not.toContain(token.slice('cadm_'.length));
    const records = await sqlInOrganization('SELECT record FROM decisions');
    expect(JSON.stringify(records)).not.toContain(token.slice('cadm_'.length));
  });

  it('is refused once it is revoked, and does not come back', async () => {
    const { id, token } = await createAdmin('owner');
    expect(await ask(token)).toBe('ok');
    expect((await broker.admin('DELETE', `/v1/admin/admins/${id}`)).status).toBe(200);
    expect(await ask(token)).toBe('admin_authentication_failed');
    const again = await broker.admin('POST', `/v1/admin/admins/${id}/token`, {});
    expect(await codeOf(again)).toBe('admin_not_found');
    const repeated = await broker.admin('DELETE', `/v1/admin/admins/${id}`);
    expect(await repeated.json()).toMatchObject({ admin_id: id, revoked_at: expect.any(String) });
  });

  it('is refused once it has expired', async () => {
    const { id, token } = await createAdmin('owner');
    await sqlInOrganization(
      'UPDATE admins SET expires_at_ms = ? WHERE admin_id = ?',
      Date.now(),
      id,
    );
    expect(await ask(token)).toBe('admin_authentication_failed');
  });

  it('is refused once there is a newer one', async () => {
    const { id, token } = await createAdmin('read_only');
    const response = await broker.admin('POST', `/v1/admin/admins/${id}/token`, {});
    const answer: unknown = await response.json();
    expect(answer).toMatchObject({ admin: { admin_id: id }, admin_token: expect.any(String) });
    expect(await ask(token)).toBe('admin_authentication_failed');
    const newer =
      typeof answer === 'object' && answer !== null && 'admin_token' in answer
        ? String(answer.admin_token)
        : '';
    expect(await ask(newer)).toBe('ok');
  });

  it('has the role that it has now', async () => {
    const { id, token } = await createAdmin('read_only');
    const create = () =>
      asAdmin(token, 'POST', '/v1/admin/admins', { name: 'x', role: 'read_only' }).then(codeOf);
    expect(await create()).toBe('admin_forbidden');
    const change = { name: 'promoted', role: 'owner' };
    expect((await broker.admin('PUT', `/v1/admin/admins/${id}`, change)).status).toBe(200);
    expect(await create()).toBe('ok');
  });

  it.each(['cadm_', `cadm_${'A'.repeat(43)}`, `cadm_${'A'.repeat(42)}`, `adm_${'A'.repeat(43)}`])(
    '#61 is none of ours: %s',
    async (token) => {
      expect(await ask(token)).toBe('admin_authentication_failed');
    },
  );
});
