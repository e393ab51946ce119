import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { asAdmin, createAdmin, expectRefusal } from './test-administration.ts';
import { broker } from './test-broker.ts';
import { forgetRemovals, newName, scimRefusal, TestDirectory } from './test-directory.ts';
import { sqlInOrganization } from './test-jobs.ts';

// The protocol of SCIM: versions, pages, refusals in its form, and who may speak it.

let directory: TestDirectory;
beforeAll(async () => {
  directory = await TestDirectory.create();
});
beforeEach(forgetRemovals);

describe('the protocol', () => {
  it('answers 409 uniqueness for a name that is taken, in any case', async () => {
    const user = await directory.createUser({ externalId: newName() });
    const same = { userName: user.userName.toUpperCase() };
    const conflict = [409, 'uniqueness', 'scim_conflict'];
    expect(await scimRefusal(await directory.send('POST', '/Users', same))).toEqual(conflict);
    const other = await directory.createUser();
    const renamed = await directory.patch(`/Users/${other.id}`, [{ op: 'replace', value: same }]);
    expect(await scimRefusal(renamed)).toEqual(conflict);
    const external = { userName: newName(), externalId: user.externalId };
    expect(await scimRefusal(await directory.send('POST', '/Users', external))).toEqual(conflict);
  });

  it('holds changes to the version that If-Match names', async () => {
    const user = await directory.createUser();
    const change = (tag: string) =>
      directory.patch(`/Users/${user.id}`, [{ op: 'add', path: 'displayName', value: tag }], {
        'If-Match': tag,
      });
    for (const tag of ['W/"7"', '"nonsense"', '1']) {
      const refused = await scimRefusal(await change(tag));
      expect(refused).toEqual([412, undefined, 'scim_version_mismatch']);
    }
    expect((await change('W/"1"')).status).toBe(200);
    expect((await change('W/"1", W/"2"')).status).toBe(200);
    expect((await change('*')).status).toBe(200);
    const gone = await directory.send('DELETE', `/Users/${user.id}`, undefined, {
      'If-Match': '"1"',
    });
    expect(gone.status).toBe(412);
    const known = { 'If-None-Match': 'W/"4"' };
    expect((await directory.send('GET', `/Users/${user.id}`, undefined, known)).status).toBe(304);
  });

  it('shows pages, and the attributes that were asked for', async () => {
    await Promise.all([1, 2, 3].map((n) => directory.createUser({ displayName: `Paged ${n}` })));
    const filter = 'displayName sw "Paged"';
    const page = await directory.find('Users', filter, '&startIndex=2&count=1&attributes=userName');
    expect(page).toMatchObject({ totalResults: 3, startIndex: 2, itemsPerPage: 1 });
    const [only] = page.Resources;
    expect(Object.keys(only ?? {})).toEqual(
      expect.arrayContaining(['schemas', 'id', 'userName', 'meta']),
    );
    expect(only).not.toHaveProperty('active');
    const none = await directory.find('Users', filter, '&startIndex=0&count=-3');
    expect(none).toMatchObject({ totalResults: 3, startIndex: 1, itemsPerPage: 0 });
    const without = await directory.find('Users', filter, '&excludedAttributes=displayName');
    expect(without.Resources[0]).not.toHaveProperty('displayName');
  });

  it.each([
    ['POST', '/Users', '{"userName":', [400, 'invalidSyntax', 'json_malformed']],
    ['POST', '/Users', '[]', [400, 'invalidSyntax', 'scim_syntax_invalid']],
    ['POST', '/Users', '{"active":true}', [400, 'invalidValue', 'scim_value_invalid']],
    ['POST', '/Users', '{"userName":7}', [400, 'invalidValue', 'scim_value_invalid']],
    [
      'POST',
      '/Users',
      '{"userName":"a","username":"b"}',
      [400, 'invalidSyntax', 'scim_syntax_invalid'],
    ],
    ['POST', '/Users', '{"userName":"a\\u0000b"}', [400, 'invalidValue', 'scim_value_invalid']],
    [
      'POST',
      '/Users',
      `{"userName":"${'a'.repeat(257)}"}`,
      [400, 'invalidValue', 'scim_value_invalid'],
    ],
    ['POST', '/Bulk', '{}', [501, undefined, 'scim_not_supported']],
    ['GET', '/Me', undefined, [501, undefined, 'scim_not_supported']],
    [
      'GET',
      '/Users?filter=userName%20eq',
      undefined,
      [400, 'invalidFilter', 'scim_filter_invalid'],
    ],
    ['GET', '/Users?filter=', undefined, [400, 'invalidFilter', 'scim_filter_invalid']],
    [
      'GET',
      '/Users?filter=nothing%20eq%20%22x%22',
      undefined,
      [400, 'invalidFilter', 'scim_filter_invalid'],
    ],
    [
      'GET',
      `/Users?filter=${'('.repeat(900)}`,
      undefined,
      [400, 'invalidFilter', 'scim_filter_invalid'],
    ],
    [
      'GET',
      `/Users?filter=a%20eq%20%22${'%0A'.repeat(60)}`,
      undefined,
      [400, 'invalidFilter', 'scim_filter_invalid'],
    ],
    ['GET', '/Users?count=many', undefined, [400, 'invalidValue', 'scim_value_invalid']],
    ['GET', '/Users/nobody', undefined, [404, undefined, 'scim_resource_not_found']],
    ['GET', '/Nothing', undefined, [404, undefined, 'not_found']],
    ['DELETE', '/Users', undefined, [405, undefined, 'method_not_allowed']],
  ])('refuses %s %s %s', async (method, path, body, refusal) => {
    const [{ count } = { count: 0 }] = await sqlInOrganization('SELECT count FROM changes');
    expect(await scimRefusal(await directory.send(method, path, body))).toEqual(refusal);
    expect(await sqlInOrganization('SELECT count FROM changes')).toEqual([{ count }]);
  });

  it('refuses a body that is too large', async () => {
    const body = JSON.stringify({ userName: 'a', title: 'x'.repeat(17 * 1024 * 1024) });
    const refused = await scimRefusal(await directory.send('POST', '/Users', body));
    expect(refused).toEqual([413, undefined, 'body_too_large']);
  });

  it.each([
    [400, { op: 'add', path: '__proto__.polluted', value: 'yes' }],
    [400, { op: 'add', path: 'constructor.prototype.polluted', value: 'yes' }],
    [200, { op: 'add', path: 'constructor.prototype', value: { polluted: 'yes' } }],
    [200, { op: 'add', value: JSON.parse('{"__proto__":{"polluted":"yes"}}') }],
    [200, { op: 'replace', value: { 'constructor.prototype.polluted': 'yes' } }],
    [200, { op: 'add', path: 'name', value: JSON.parse('{"__proto__":{"polluted":"yes"}}') }],
  ])(
    '#66 an operation on what every object has changes nothing: %i %j',
    async (status, operation) => {
      const user = await directory.createUser();
      expect((await directory.patch(`/Users/${user.id}`, [operation])).status).toBe(status);
      expect(await directory.user(user.id)).toEqual(user);
      expect('polluted' in {}).toBe(false);
    },
  );

  it('#61 is for provisioners: a token that may nothing else', async () => {
    const { token } = await createAdmin('help_desk');
    const refused = await asAdmin(token, 'GET', '/scim/v2/Users');
    expect(await scimRefusal(refused)).toEqual([403, undefined, 'admin_forbidden']);
    const nobody = await asAdmin('cadm_x', 'GET', '/scim/v2/Users');
    expect(nobody.headers.get('WWW-Authenticate')).toBe('Bearer');
    expect(await scimRefusal(nobody)).toEqual([401, undefined, 'admin_authentication_failed']);
    for (const [method, path] of [
      ['GET', '/v1/admin/self'],
      ['GET', '/v1/admin/admins'],
      ['GET', '/v1/admin/directory'],
      ['PUT', '/v1/admin/users/x'],
    ] as const) {
      const other = await asAdmin(
        directory.token,
        method,
        path,
        method === 'PUT' ? { active: false } : undefined,
      );
      await expectRefusal(other, 403, 'admin_forbidden');
    }
  });

  it('says what it offers', async () => {
    const config: unknown = await (await directory.send('GET', '/ServiceProviderConfig')).json();
    expect(config).toMatchObject({
      patch: { supported: true },
      bulk: { supported: false },
      filter: { supported: true, maxResults: 200 },
      sort: { supported: false },
      etag: { supported: true },
    });
    const types: unknown = await (await directory.send('GET', '/ResourceTypes')).json();
    expect(types).toMatchObject({ Resources: [{ id: 'User' }, { id: 'Group' }] });
    const schemas = z
      .object({
        Resources: z.array(z.object({ id: z.string(), meta: z.object({ location: z.string() }) })),
      })
      .parse(await (await directory.send('GET', '/Schemas')).json());
    for (const { id } of schemas.Resources) {
      expect((await directory.send('GET', `/Schemas/${id}`)).status).toBe(200);
    }
    expect((await directory.send('GET', '/Schemas/urn:none')).status).toBe(404);
  });

  it('while the broker is read-only, ends who leaves and changes nothing else', async () => {
    const user = await directory.createUser();
    await broker.admin('PUT', '/v1/admin/mode', { read_only: true });
    const rename = [{ op: 'replace', value: { displayName: 'x' } }];
    const refused = [503, undefined, 'read_only'];
    expect(await scimRefusal(await directory.patch(`/Users/${user.id}`, rename))).toEqual(refused);
    const created = await directory.send('POST', '/Users', { userName: newName() });
    expect(await scimRefusal(created)).toEqual(refused);
    const off = await directory.patch(`/Users/${user.id}`, [
      { op: 'replace', value: { active: false } },
    ]);
    expect(off.status).toBe(200);
    const on = await directory.patch(`/Users/${user.id}`, [
      { op: 'replace', value: { active: true } },
    ]);
    expect(await scimRefusal(on)).toEqual(refused);
    await broker.admin('PUT', '/v1/admin/mode', { read_only: false });
  });
});
