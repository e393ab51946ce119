// A day of an administrator with countersign-admin, at a broker as it is deployed on one machine.
import { execFile } from 'node:child_process';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deviceAnswer, enrollmentTokenAnswer } from '@countersign/protocol/admin';
import { adminTokenAnswer } from '@countersign/protocol/admin-access';
import { deviceList } from '@countersign/protocol/admin-devices';
import { integrationSecretAnswer } from '@countersign/protocol/admin-integrations';
import { logEvent } from '@countersign/protocol/system-log';
import type { TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { AdminDesk } from '../support/admin-command.ts';
import { expectDenied, expectTrusted } from '../support/expect-answer.ts';
import { hurryDrain, untilDrained } from '../support/exported-log.ts';
import { TestBroker } from '../support/test-broker.ts';

const program = fileURLToPath(new URL('../../packages/admin-cli/src/main.ts', import.meta.url));

let broker: TestBroker;
/** The owner, for emergencies. */
let owner: AdminDesk;
/** Whose day it is: an administrator. */
let desk: AdminDesk;
let client: TestClient;
let device: FakeDevice;
let integration = '';

beforeAll(async () => {
  broker = await TestBroker.start();
  owner = new AdminDesk(broker.url, broker.server.ownerToken);
});
afterAll(async () => {
  desk?.remove();
  owner?.remove();
  await broker?.stopAndRemove();
});

const secretIn = (output: string, label: string) =>
  new RegExp(`^${label} +(\\S+)$`, 'm').exec(output)?.[1] ?? '';

it('an owner makes an administrator, who is known by the token from then on', async () => {
  const created = await owner.answer(
    adminTokenAnswer,
    ...['admins', 'create', 'Ada', '--role', 'administrator', '--days', '1'],
  );
  desk = new AdminDesk(broker.url, created.admin_token);
  expect(await desk.done('whoami')).toMatch(/^role +administrator$/m);
  expect(await desk.done('admins', 'list')).toContain(created.admin.admin_id);
  expect(await desk.run('admins', 'create', 'Eve', '--role', 'owner')).toMatchObject({
    code: 1,
    errors: expect.stringContaining('admin_forbidden'),
  });
});

it('sets up an application, its sign-in server and an integration, with scripts for devices', async () => {
  const application = { name: 'CRM', enforcement: 'enforce' };
  await desk.done('applications', 'set', 'crm', desk.write('crm.json', application));
  const server = {
    name: 'SSO',
    origins: ['https://sso.example.com'],
    applications: ['crm'],
  };
  const output = await desk.done(
    ...['clients', 'set', 'sso', desk.write('sso.json', server), '--new-secret'],
  );
  client = {
    clientId: 'sso',
    clientSecret: secretIn(output, 'secret'),
    application: 'crm',
    origin: 'https://sso.example.com',
  };
  const input = {
    name: 'Lab',
    connection: { kind: 'inventory_file' },
    authority: 'one_time_token',
  };
  const created = await desk.answer(
    integrationSecretAnswer,
    ...['integrations', 'create', desk.write('lab.json', input)],
    ...['--scripts', desk.file('scripts')],
  );
  integration = created.integration.integration_id;
  expect(statSync(desk.file('scripts/enroll.sh')).mode & 0o777).toBe(0o600);
  expect(desk.read('scripts/enroll.sh')).toContain(broker.url);
  expect(await desk.done('integrations', 'list')).toMatch(new RegExp(`${integration}.* disabled`));
  const wrong = desk.write('wrong.json', { ...input, profile: '2y' });
  expect(await desk.run('integrations', 'update', integration, wrong)).toMatchObject({
    code: 1,
    errors: expect.stringMatching(/field_invalid \(profile\).*\n.*nothing was changed/),
  });
});

it('takes a device in: inventory, token, enrollment, trusted sign-in', async () => {
  device = await FakeDevice.create({ serial_number: 'LAB0001' });
  const csv = desk.write('lab.csv', 'serial_number,firewall,os_version\nLAB0001,false,14.5\n');
  expect(await desk.done('integrations', 'inventory', integration, csv)).toContain('1 devices');
  await desk.done('integrations', 'state', integration, 'all_users');
  const token = await desk.answer(
    enrollmentTokenAnswer,
    ...['tokens', 'create', '--serial', 'LAB0001', '--integration', integration],
  );
  await broker.client.enroll(device, token.enrollment_token);
  await expect
    .poll(async () => (await broker.client.signIn(client, device)).decision, { timeout: 12_000 })
    .toBe(true);
  const found = await desk.answer(deviceList, 'devices', 'find', '--serial', 'lab0001');
  expect(found.devices[0]?.device_id).toBe(device.deviceId);
  expect(await desk.done('devices', 'list')).toMatch(/active +1 +ada +LAB0001/);
  const shown = await desk.done('devices', 'show', device.deviceId ?? '');
  expect(shown).toMatch(/^posture: device +linux test; told 20\S+Z$/m);
  expect(shown).toMatch(/^posture: mdm +14\.5, firewall: false; reported 20\S+Z$/m);
  expect((await desk.run('devices', 'find', '--serial', 'LAB0002')).code).toBe(1);
});

it('is shown what would break, and in which order to proceed, before it is told of the override', async () => {
  const refused = await desk.run('integrations', 'state', integration, 'disabled');
  expect(refused.code).toBe(1);
  expect(refused.errors).toMatch(/integration_in_use[\s\S]+crm[\s\S]+1\. Have[\s\S]+--override/);
  expect(await desk.done('integrations', 'impact', integration)).toContain(
    '1 certificates are good',
  );
  expectTrusted(await broker.client.signIn(client, device));
});

it('holds, releases and revokes', async () => {
  const id = device.deviceId ?? '';
  const shown = await desk.answer(deviceAnswer, 'devices', 'show', id);
  const fingerprint = shown.certificates[0]?.fingerprint_sha256 ?? '';
  await desk.done('certificates', 'hold', id, fingerprint);
  expectDenied(await broker.client.signIn(client, device), 'certificate_suspended');
  await desk.done('certificates', 'release', id, fingerprint);
  expectTrusted(await broker.client.signIn(client, device));
  await desk.done('devices', 'revoke', id, '--reason', 'keyCompromise', '--block', 'stolen');
  expectDenied(await broker.client.signIn(client, device), 'device_blocked');
  expect(await desk.done('devices', 'show', id)).toMatch(/blocked: stolen[\s\S]*revoked \(keyC/);
  await desk.done('devices', 'unblock', id);
  expect(await desk.done('devices', 'show', id)).toMatch(/^status +active$/m);
});

/** They wait for ten seconds, in which the administrator goes on. */
let ending: Promise<string[]>;
it('ends a user and an integration', async () => {
  await desk.done('integrations', 'state', integration, 'disabled');
  ending = Promise.all([
    desk.done('users', 'deactivate', 'ada', '--wait'),
    desk.done('integrations', 'delete', integration, '--wait'),
  ]);
  await expect
    .poll(() => desk.done('users', 'show', 'ada'), { timeout: 5_000 })
    .toMatch(/^active +no$/m);
});

/** The program as it is started. The broker's front runs in this process, which therefore must not wait. */
const start = (...args: string[]) =>
  new Promise<{ readonly code: number; readonly output: string; readonly errors: string }>(
    (end) => {
      const child = execFile(
        process.execPath,
        [program, ...args, '--broker', broker.url],
        { env: {}, timeout: 30_000 },
        (_, output, errors) => end({ code: child.exitCode ?? -1, output, errors }),
      );
    },
  );

it('the program itself takes its token from a file, and says so where there is none', async () => {
  const file = owner.write('token', `${broker.server.ownerToken}\n`);
  const known = await start('whoami', '--json', '--token-file', file);
  expect([known.code, known.errors]).toEqual([0, '']);
  expect(JSON.parse(known.output)).toMatchObject({ role: 'owner' });
  expect(await start('whoami')).toMatchObject({ code: 2, output: '' });
});

it('keeps groups of users', async () => {
  const members = desk.write('pilot.txt', 'ada\n\n  grace \n');
  expect(await desk.done('groups', 'set', 'pilot', members)).toContain('2 members');
  expect(await desk.done('groups', 'show', 'pilot')).toMatch(/^grace$/m);
  await desk.done('groups', 'delete', 'pilot');
});

it('keeps what may be done inside of an application as a file, too', async () => {
  const application = desk.write('docs.json', { name: 'Docs', enforcement: 'enforce' });
  await desk.done('applications', 'set', 'docs', application);
  const rule = { id: 'readers', when: { people: { users: ['ada'] } }, effect: 'allow' };
  const resource_types = [{ type: 'page', actions: ['read'] }];
  const access = { resource_types, rules: [rule] };
  const file = desk.write('access.json', { access, comment: 'Pages' });
  expect(await desk.done('access', 'lint', file)).toContain('Nothing to say.');
  expect(await desk.done('access', 'push', 'docs', file)).toContain('yes');
  expect(await desk.done('access', 'pull', 'docs', file)).toMatch(/^rules +1$/m);
  const pulled = JSON.parse(desk.read('access.json'));
  await desk.done(
    'access',
    'push',
    'docs',
    desk.write('empty.json', { access: { ...access, rules: [] } }),
  );
  expect(await desk.run('access', 'push', 'docs', file)).toMatchObject({
    code: 1,
    errors: expect.stringMatching(/policy_version_conflict[\s\S]+Pull it again/),
  });
  const older = String(pulled.expected_version);
  await desk.done('access', 'pull', 'docs', file, '--version', older);
  await desk.done('access', 'push', 'docs', file);
  expect(await desk.done('access', 'versions', 'docs')).toMatch(/adm_\S+ +1 +Pages$/m);
  const burn = { ...access, rules: [{ ...rule, when: { actions: ['burn'] } }] };
  for (const command of [['lint'], ['push', 'docs']]) {
    const unknown = desk.write('burn.json', { access: burn });
    expect(await desk.run('access', ...command, unknown)).toMatchObject({
      code: 1,
      errors: expect.stringContaining('access.rules.0.when.actions'),
    });
  }
});

it('keeps networks, and policies as files that nobody overwrites by accident', async () => {
  const office = { name: 'Office', on_network: true, blocks: ['192.0.2.0/24'] };
  await desk.done('zones', 'set', 'office', desk.write('office.json', office));
  expect(await desk.done('zones', 'list')).toMatch(/^office +yes +192\.0\.2\.0\/24 +Office$/m);
  await desk.done(
    'applications',
    'set',
    'wiki',
    desk.write('wiki.json', { name: 'Wiki', enforcement: 'monitor' }),
  );
  const file = desk.write('policy.json', {});
  expect(await desk.done('policy', 'pull', 'wiki', file)).toMatch(/^made from +choices$/m);
  const pulled = JSON.parse(desk.read('policy.json'));
  const rule = { id: 'office', when: { network: { zones: ['office'] } }, effect: 'allow' };
  pulled.policy.rules.unshift(rule);
  const changed = desk.write('policy.json', { ...pulled, comment: 'The office is open' });
  expect(await desk.done('policy', 'push', 'wiki', changed)).toContain('yes');
  expect(await desk.run('policy', 'push', 'wiki', changed)).toMatchObject({
    code: 1,
    errors: expect.stringMatching(/policy_version_conflict[\s\S]+Pull it again/),
  });
  expect(await desk.done('policy', 'versions', 'wiki')).toMatch(/rules +2 +The office is open$/m);
  await desk.done('policy', 'pull', 'wiki', file, '--version', String(pulled.expected_version));
  await desk.done('policy', 'push', 'wiki', file);
  expect(await desk.done('policy', 'versions', 'wiki')).toMatch(/rules +1 *$/m);
  const template = desk.write('template.json', {});
  await desk.done('policy', 'template', 'trusted-macs', template);
  expect(await desk.done('policy', 'lint', template)).toContain('Nothing to say.');
  await desk.done('policy', 'push', 'wiki', template);
  const simulated = await desk.done('policy', 'simulate', 'crm', template, '--days', '1');
  expect(simulated).toMatch(/^Of [1-9]\d* sign-ins \d+ would have ended alike\./m);
  const mistaken = { ...rule, when: { device_trust: 'trusted', client_types: ['legacy'] } };
  const wrong = { policy: { ...pulled.policy, rules: [mistaken] } };
  for (const command of [['lint'], ['push', 'wiki']]) {
    expect(await desk.run('policy', ...command, desk.write('wrong.json', wrong))).toMatchObject({
      code: 1,
      errors: expect.stringContaining('legacy cannot have'),
    });
  }
  await desk.done('zones', 'delete', 'office');
});

it('is told to come back where the broker is read-only', async () => {
  await desk.done('mode', 'set', 'read-only', '--retry-after', '60');
  const refused = await desk.run('tokens', 'create', '--serial', 'LAB0003');
  expect(refused).toMatchObject({ code: 3, errors: expect.stringContaining('mode set normal') });
  expect(await desk.done('mode', 'set', 'normal')).toMatch(/^mode +normal$/m);
});

it('is told when every decision knows of the end of user and integration', async () => {
  for (const output of await ending) expect(output).toMatch(/^status +complete$/m);
  expect(await desk.done('users', 'activate', 'ada')).toMatch(/^active +yes$/m);
  expect((await desk.run('integrations', 'show', integration)).code).toBe(1);
});

it('searches the log, and exports it in parts that make a whole', async () => {
  await hurryDrain(broker.client);
  const events = await untilDrained(broker.client, broker.shardCount);
  const signIns = await desk.done(
    ...['log', 'search', '--type', 'user.authentication.authenticate', '--user', 'ada'],
  );
  expect(signIns).toContain('Authentication of device via certificate');
  const [log, cursor] = [desk.file('log.jsonl'), desk.file('log.cursor')];
  await desk.done('log', 'export', log, '--cursor', cursor);
  await desk.done('log', 'settings', '--retention-days', '30');
  await hurryDrain(broker.client);
  const later = await untilDrained(broker.client, broker.shardCount);
  await desk.done('log', 'export', log, '--cursor', cursor);
  const lines = desk.read('log.jsonl').trimEnd().split('\n');
  expect(later.length).toBeGreaterThan(events.length);
  expect(lines.map((line) => logEvent.parse(JSON.parse(line)).uuid)).toEqual(
    later.map(({ uuid }) => uuid),
  );
  expect((await desk.run('log', 'export', log)).code).toBe(1);
  const other = await desk.run('log', 'export', log, '--cursor', cursor, '--user', 'ada');
  expect(other).toMatchObject({ code: 1, errors: expect.stringContaining('other filters') });
  expect(await desk.run('log', 'streams', 'add', 'siem', 'https://10.0.0.1/')).toMatchObject({
    code: 1,
    errors: expect.stringContaining('field_invalid (url)'),
  });
  expect(await desk.done('log', 'streams', 'list')).toBe('There are none.\n');
});

it('verifies the log with checkpoints kept elsewhere, and is told which row was changed', async () => {
  const kept = desk.file('kept.jsonl');
  await desk.done('checkpoints', 'save', kept);
  await desk.done('checkpoints', 'save', kept);
  expect(desk.read('kept.jsonl').trimEnd().split('\n')).toHaveLength(2);
  const folder = desk.file('audit');
  await desk.done('audit', 'export', folder);
  const verify = ['verify-audit', '--checkpoints', kept];
  expect(await desk.done(...verify)).toContain('Nothing is wrong.');
  expect(await desk.done(...verify, '--folder', folder)).toContain('Nothing is wrong.');

  const name = 'chain-organization.jsonl';
  const rows = desk.read(join('audit', name)).split('\n');
  const changed = rows.map((row, index) => (index === 1 ? row.replace('admin.', 'nimda.') : row));
  writeFileSync(join(folder, name), changed.join('\n'));
  const found = await desk.run(...verify, '--folder', folder);
  expect([found.code, found.output]).toEqual([
    1,
    expect.stringContaining('chain organization: row 2 was changed'),
  ]);
  writeFileSync(join(folder, name), rows.slice(0, -3).join('\n'));
  expect((await desk.run(...verify, '--folder', folder)).output).toContain('cut off');
});

const anything = z.looseObject({});
it('has the same commands for scripts', async () => {
  for (const words of [
    ['devices', 'list'],
    ['groups', 'list'],
    ['mode', 'show'],
    ['log', 'search'],
  ]) {
    expect(Object.keys(await desk.answer(anything, ...words)).length).toBeGreaterThan(0);
  }
});

it('rolls an issuer over on the data folder, and sees it in the broker', async () => {
  expect(await desk.done('issuers', 'list')).toContain('issuing');
  const where = ['--data', broker.dataDirectory];
  const prepared = await desk.done('ca', 'new-issuer', ...where);
  expect(prepared).toContain('issuer-2 is prepared');
  expect(prepared).toContain('countersign-admin ca activate --data');
  await desk.done('ca', 'activate', ...where);
  expect(await desk.done('ca', 'status', ...where)).toMatch(/issuer-2: issuing/);
  expect((await desk.run('ca', 'retire', ...where)).code).toBe(2);
});

it('moves everything to another place over the network', async () => {
  const passphrase = ['--passphrase-file', desk.write('passphrase', 'correct horse battery\n')];
  const [output, keys] = [owner.file('export.jsonl'), owner.file('keys')];
  const from = ['--data', broker.dataDirectory, '--output', output, ...passphrase];
  expect(await desk.run('export', ...from)).toMatchObject({ code: 1 });
  expect(existsSync(output)).toBe(false);
  await owner.done('export', ...from);
  const made = await owner.done(
    ...['import', 'keys', '--input', output, '--data', keys, '--shards', '2', ...passphrase],
  );
  expect(made).toContain('wrangler secret bulk');
  const into = ['import', 'state', '--input', output, '--data', keys, ...passphrase];
  await broker.stop();
  const secrets = await owner.done('ca', 'secrets', '--data', keys);
  expect(JSON.parse(secrets)).toHaveProperty('ISSUER_2_KEY');
  const other = await broker.startOn(keys, 2, { highWaterMark: 'none' });
  try {
    await owner.done(...into);
    expect(await desk.done('devices', 'list')).toContain('LAB0001');
    expect(await desk.done('verify-audit', '--checkpoints', desk.file('kept.jsonl'))).toContain(
      'Nothing is wrong.',
    );
    expectDenied(await other.client.signIn(client, device), 'user_revoked');
  } finally {
    await other.stop();
  }
});
