// The owner's interface: nobody else's, and idempotent.
import { decisionPage } from '@countersign/protocol/admin';
import { randomText, sha256Base64url } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectProblem } from '../support/expect-answer.ts';
import { enrollDevice } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start();
});
afterAll(() => broker?.stopAndRemove());

const routes: [method: string, path: string][] = [
  ['PUT', '/v1/admin/applications/a'],
  ['PUT', '/v1/admin/clients/a'],
  ['POST', '/v1/admin/enrollment-tokens'],
  ['GET', '/v1/admin/devices/AAAAAAAAAAAAAAAAAAAAAA'],
  ['POST', `/v1/admin/devices/AAAA/certificates/${'A'.repeat(43)}/revoke`],
  ['GET', '/v1/admin/shards/0/decisions'],
  ['GET', '/v1/admin/users/ada'],
  ['PUT', '/v1/admin/users/ada'],
  ['POST', '/v1/admin/users/ada/revoke'],
  ['GET', '/v1/admin/jobs/job_AAAAAAAAAAAAAAAAAAAAAA'],
  ['GET', '/v1/admin/archived-chains'],
  ['GET', `/v1/admin/archived-chains/${'A'.repeat(22)}.0/decisions`],
  ['GET', '/v1/admin/state'],
  ['GET', '/v1/admin/state/marks'],
  ['GET', '/v1/admin/state/rows'],
  ['POST', '/v1/admin/state/import'],
  ['POST', '/v1/admin/state/import/rows'],
  ['POST', '/v1/admin/state/import/finish'],
];

describe('#61 every address of the owner', () => {
  it.each(routes)('%s %s is for the owner token alone', async (method, path) => {
    const client = await broker.client.registerClient();
    const { ownerToken } = broker.server;
    const authorizations = [
      undefined,
      '',
      'Bearer',
      'Bearer ',
      `Bearer ${randomText()}`,
      `Bearer ${ownerToken.slice(0, -1)}`,
      `Bearer ${ownerToken}A`,
      `Bearer ${ownerToken.toUpperCase()}`,
      `Bearer ${ownerToken} `.replace(/ $/, ' x'),
      `Bearer ${await sha256Base64url(ownerToken)}`,
      `Basic ${btoa(`owner:${ownerToken}`)}`,
      `Basic ${btoa(`${client.clientId}:${client.clientSecret}`)}`,
      `Bearer ${client.clientSecret}`,
      ownerToken,
      `Token ${ownerToken}`,
    ];
    for (const authorization of authorizations) {
      const headers: Record<string, string> =
        authorization === undefined ? {} : { Authorization: authorization };
      const response = await broker.client.request(path, { method, headers });
      expect(response.headers.get('WWW-Authenticate')).toContain('Bearer');
      await expectProblem(response, 401, 'admin_authentication_failed');
    }
  });

  it('takes no token in the address or in a cookie', async () => {
    const { ownerToken } = broker.server;
    for (const query of [`access_token=${ownerToken}`, `token=${ownerToken}`]) {
      const response = await broker.client.request(`/v1/admin/shards/0/decisions?${query}`);
      await expectProblem(response, 401, 'admin_authentication_failed');
    }
    const response = await broker.client.request('/v1/admin/shards/0/decisions', {
      headers: { Cookie: `owner=${ownerToken}; Authorization=Bearer ${ownerToken}` },
    });
    await expectProblem(response, 401, 'admin_authentication_failed');
  });
});

describe('applications and clients', () => {
  it('are the same after the same change, and have a newer version after another', async () => {
    const first = await broker.client.putApplication('crm', {
      name: 'CRM',
      enforcement: 'enforce',
    });
    const same = await broker.client.putApplication('crm', { name: 'CRM', enforcement: 'enforce' });
    const other = await broker.client.putApplication('crm', {
      name: 'CRM',
      enforcement: 'monitor',
    });
    expect([first.changed, same.changed, other.changed]).toEqual([true, false, true]);
    expect(same.organization_version).toBe(first.organization_version);
    expect(other.organization_version).toBeGreaterThan(first.organization_version);
    expect(Date.parse(other.complete_at) - Date.now()).toBeLessThanOrEqual(10_000);
  });

  it('are refused with the field that is wrong, and change nothing', async () => {
    const secret = { method: 'client_secret', secret_sha256: 'A'.repeat(43) };
    const good = {
      name: 'A',
      origins: ['https://a.example.com'],
      applications: ['crm'],
      authentication: secret,
    };
    await broker.client.putApplication('crm', { name: 'CRM', enforcement: 'enforce' });
    const wrong: [unknown, string][] = [
      [{ ...good, origins: [] }, 'origins'],
      [{ ...good, origins: ['*'] }, 'origins.0'],
      [{ ...good, origins: ['https://*.example.com'] }, 'origins.0'],
      [{ ...good, origins: ['http://a.example.com'] }, 'origins.0'],
      [{ ...good, origins: ['null'] }, 'origins.0'],
      [{ ...good, origins: Array(33).fill('https://a.example.com') }, 'origins'],
      [{ ...good, applications: [] }, 'applications'],
      [
        { ...good, authentication: { ...secret, secret_sha256: 'short' } },
        'authentication.secret_sha256',
      ],
      [{ ...good, authentication: { ...secret, secret: 'plain' } }, 'authentication.secret'],
      [{ ...good, authentication: { method: 'none' } }, 'authentication.method'],
      [{ ...good, authentication: { method: 'private_key_jwt', keys: [] } }, 'authentication.keys'],
      [{ ...good, name: undefined }, 'name'],
      [{ ...good, extra: 1 }, 'extra'],
    ];
    for (const [input, field] of wrong) {
      const response = await broker.client.admin('PUT', '/v1/admin/clients/wrong', input);
      await expectProblem(response, 400, 'field_invalid', field);
    }
    const asked = await broker.client.post(
      '/v1/challenges',
      { client_id: 'wrong', transaction: randomText() },
      { Origin: 'https://a.example.com' },
    );
    await expectProblem(asked, 403, 'client_unknown', 'client_id');
  });

  it.each(['A', '-a', '.', '..', '%2e%2e', 'a%2fb', 'a b', 'a'.repeat(64), '%ff', 'ä'])(
    'are not called %s',
    async (id) => {
      const input = { name: 'A', enforcement: 'enforce' };
      const response = await broker.client.admin('PUT', `/v1/admin/applications/${id}`, input);
      expect([400, 404]).toContain(response.status);
      if (response.status === 400) await expectProblem(response, 400, 'field_invalid', 'id');
      else await expectProblem(response, 404, 'not_found');
    },
  );
});

describe('devices and decisions', () => {
  it('says nothing of a device that is not there', async () => {
    const unknown = await broker.client.admin('GET', '/v1/admin/devices/AAAAAAAAAAAAAAAAAAAAAA');
    await expectProblem(unknown, 404, 'device_not_found');
    for (const id of ['x', '__proto__', "'", '%00', '%2e%2e']) {
      const response = await broker.client.admin('GET', `/v1/admin/devices/${id}`);
      expect([id, response.status]).toEqual([id, 404]);
      expect(await response.text()).toMatch(/"code":"(device_not_found|not_found)"/);
    }
  });

  it('refuses a page of decisions that there cannot be', async () => {
    const wrong: [string, string][] = [
      ['4/decisions', 'shard'],
      ['-1/decisions', 'shard'],
      ['1e0/decisions', 'shard'],
      ['0x1/decisions', 'shard'],
      ['999999999999999999/decisions', 'shard'],
      ['0/decisions?after=-1', 'after'],
      ['0/decisions?after=a', 'after'],
      ['0/decisions?after=1.5', 'after'],
      ['0/decisions?limit=0', 'limit'],
      ['0/decisions?limit=1001', 'limit'],
      ["0/decisions?limit=1'--", 'limit'],
    ];
    for (const [path, field] of wrong) {
      const response = await broker.client.admin('GET', `/v1/admin/shards/${path}`);
      await expectProblem(response, 400, 'field_invalid', field);
    }
  });

  it('pages through a chain without gaps', async () => {
    const client = await broker.client.registerClient();
    const device = await enrollDevice(broker);
    for (let index = 0; index < 7; index++) await broker.client.signIn(client, device);
    const shards = await Promise.all(
      Array.from({ length: broker.shardCount }, (_, shard) => broker.client.decisions(shard)),
    );
    const shard = shards.findIndex(({ rows }) => rows.length >= 7);
    const all = shards[shard]?.rows ?? [];
    const paged: unknown[] = [];
    for (let after = 0; ; ) {
      const path = `/v1/admin/shards/${shard}/decisions?after=${after}&limit=2`;
      const page = decisionPage.parse(await (await broker.client.admin('GET', path)).json());
      expect(page.decisions.length).toBeLessThanOrEqual(2);
      if (page.decisions.length === 0) break;
      paged.push(...page.decisions);
      after = page.decisions.at(-1)?.sequence ?? 0;
    }
    expect(paged).toEqual(all);
  });
});

describe('#51 a secret', () => {
  it('is in no log and no answer', async () => {
    const client = await broker.client.registerClient();
    const device = await FakeDevice.create();
    const token = await broker.client.createEnrollmentToken(device.hardwareId);
    await broker.client.enroll(device, token.enrollment_token);
    const { context } = await broker.client.signIn(client, device);
    const denied = await broker.client.signIn(client, device, 'eve');
    expect(denied.decision).toBe(false);
    const secrets = [
      broker.server.ownerToken,
      client.clientSecret,
      token.enrollment_token,
      context.decision_token,
      denied.context.decision_token,
      'PRIVATE KEY',
      '"d":',
    ];
    // Lines of the log come through a pipe, behind the answer.
    await expect
      .poll(() => broker.logLines.join('\n'), { timeout: 5000 })
      .toMatch(/"event":"enrolled"[\s\S]*certificate_bound_to_other_user/);
    const pages = await Promise.all(
      [
        '/healthz',
        '/v1/key-set',
        '/.well-known/jwks.json',
        '/.well-known/authzen-configuration',
      ].map(async (path) => (await broker.client.request(path)).text()),
    );
    const seen = [...broker.logLines, ...pages].join('\n');
    expect(secrets.filter((secret) => secret === undefined || seen.includes(secret))).toEqual([]);
  });
});
