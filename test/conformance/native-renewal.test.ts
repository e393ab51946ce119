// `countersign renew`, `schedule`, `doctor` and `uninstall`, as they are shipped, against the real broker.
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packEvidence } from '@countersign/protocol';
import { integrationSecretAnswer } from '@countersign/protocol/admin-integrations';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { NativeHost } from '../support/native-host.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
let client: TestClient;
let host: NativeHost;

beforeAll(async () => {
  broker = await TestBroker.start();
  client = await broker.client.registerClient();
});
afterAll(() => broker?.stopAndRemove());
beforeEach(async () => {
  host = await NativeHost.install();
});
afterEach(() => host.remove());

const enrollment = () => JSON.parse(host.stateFiles()['enrollment.json'] ?? '');
const certificate = () => new X509Certificate(Buffer.from(enrollment().certificate, 'base64url'));

async function run(...args: readonly string[]) {
  const environment = { HOME: host.folder, XDG_CONFIG_HOME: join(host.folder, 'config') };
  const { exitCode, output, errors } = await host.command(args, { environment });
  return { exitCode, output: output.toString(), errors };
}

async function signIn(): Promise<string> {
  const transaction = randomText();
  const challenge = await broker.client.challenge(client, transaction);
  const answer = await host.attest(challenge, client.origin);
  if (answer.type !== 'attest') throw new Error(JSON.stringify(answer));
  const evidence = packEvidence({
    unverifiedChallenge: challenge,
    unverifiedResponse: answer.response,
  });
  const { decision, context } = await broker.client.evaluate(client, { transaction, evidence });
  return decision ? 'allowed' : context.reason_code;
}

describe('countersign renew', () => {
  it('keeps the certificate that there is while nothing is due', async () => {
    await host.enroll(broker);
    const before = certificate().fingerprint256;
    const asked = await run('renew');
    expect(asked.exitCode, asked.errors).toBe(0);
    expect(asked.output).toContain('no newer certificate yet');
    expect(await run('renew', '--if-due')).toMatchObject({
      exitCode: 0,
      output: 'It is not time yet; nothing was asked.\n',
    });
    expect(certificate().fingerprint256).toBe(before);
  });

  it('goes over to a new key, deletes the old one, and the device signs in as before', async () => {
    await host.enroll(broker);
    expect(await signIn()).toBe('allowed');
    const before = certificate();
    const renewed = await run('renew', '--rekey');
    expect(renewed.exitCode, renewed.errors).toBe(0);
    const after = certificate();
    expect(after.publicKey.equals(before.publicKey)).toBe(false);
    expect(enrollment().key_id).toBeDefined();
    expect(Object.keys(host.stateFiles()).filter((name) => name.startsWith('device-key'))).toEqual([
      `device-key-${enrollment().key_id}.json`,
    ]);
    expect(await signIn()).toBe('allowed');
    const { certificates } = await broker.client.device(enrollment().device_id);
    expect(certificates.map(({ status }) => status)).toEqual(['superseded', 'bound']);
  });

  it.each(['renew', 'doctor'])(
    '%s gets another certificate for the same key when the profile of its integration changed',
    async (command) => {
      const create = {
        name: 'Own list',
        connection: { kind: 'inventory_file' },
        authority: 'organization_secret',
        trust_shared_secret: true,
        require_active_user: true,
      };
      await broker.client.putUser('ada', true);
      const created = await broker.client.admin('POST', '/v1/admin/integrations', create);
      const { integration, organization_secret } = integrationSecretAnswer.parse(
        await created.json(),
      );
      const path = `/v1/admin/integrations/${integration.integration_id}`;
      const listed = await broker.client.sendCsv(
        `${path}/inventory`,
        `serial_number\n${host.hardwareId.serial_number}\n`,
      );
      expect(listed.status, await listed.text()).toBe(200);
      const enrolled = await host.command(['enroll', '--broker', broker.url, '--user', 'ada'], {
        input: `${organization_secret}\n`,
      });
      expect(enrolled.exitCode, enrolled.errors).toBe(0);
      expect(Object.values(host.stateFiles()).join()).not.toContain(organization_secret.slice(-43));
      const before = certificate();
      const change = await broker.client.admin('PUT', path, { ...create, profile: '7d' });
      expect(change.status, await change.text()).toBe(200);
      const { output, errors } = await run(command);
      if (command === 'doctor') expect(output).toMatch(/standing +ok: .* newer certificate/);
      const after = certificate();
      expect(after.publicKey.equals(before.publicKey), errors).toBe(true);
      const days = (after.validToDate.getTime() - Date.now()) / 86_400_000;
      expect(Math.round(days)).toBe(7);
    },
  );

  it('says why not, changes nothing, and remembers that it failed', async () => {
    await host.enroll(broker);
    const [only] = (await broker.client.device(enrollment().device_id)).certificates;
    await broker.client.revoke(enrollment().device_id, only?.fingerprint_sha256 ?? '');
    const before = certificate().fingerprint256;
    const refused = await run('renew');
    expect(refused.exitCode).toBe(1);
    expect(refused.errors).toContain('renewal_certificate_revoked');
    expect(certificate().fingerprint256).toBe(before);
    const doctor = await run('doctor');
    expect(doctor.output).toMatch(/renewal +WARNING: failed 1 times.*renewal_certificate_revoked/);
  });

  it('of a device that is not enrolled says so', async () => {
    expect(await run('renew')).toMatchObject({
      exitCode: 1,
      errors: expect.stringContaining('not_enrolled'),
    });
  });
});

describe('countersign doctor', () => {
  it('finds nothing wrong with a device that is set up, but for what this test leaves out', async () => {
    await host.enroll(broker);
    await run('schedule');
    const { output, errors } = await run('doctor', '--json', '--verbose');
    expect(errors).toMatch(/^INFO +countersign .*\n(INFO +(GET|POST) http:.*: answered\n){2}$/);
    const findings: { check: string; verdict: string }[] = JSON.parse(output).findings;
    const verdicts = Object.fromEntries(findings.map(({ check, verdict }) => [check, verdict]));
    const { browsers, posture, ...others } = verdicts;
    expect([browsers, posture]).not.toContain(undefined);
    expect(others).toEqual({
      configuration: 'warning',
      'hardware id': 'ok',
      enrollment: 'ok',
      certificate: 'ok',
      key: 'ok',
      'key set': 'ok',
      renewal: 'ok',
      broker: 'ok',
      standing: 'ok',
    });
  });

  it('tells a certificate that the broker does not take any more, and changes nothing', async () => {
    await host.enroll(broker);
    const before = host.stateFiles();
    const [only] = (await broker.client.device(enrollment().device_id)).certificates;
    await broker.client.revoke(enrollment().device_id, only?.fingerprint_sha256 ?? '');
    const { exitCode, output } = await run('doctor');
    expect(exitCode).toBe(1);
    expect(output).toMatch(/standing +FAILURE: renewal_certificate_revoked/);
    expect(host.stateFiles()).toEqual(before);
  });

  it('says what to do when the broker does not answer and when the device is not enrolled', async () => {
    expect((await run('doctor')).output).toContain('run `countersign enroll`');
    const other = await TestBroker.start();
    try {
      await host.enroll(other);
    } finally {
      await other.stopAndRemove();
    }
    const { exitCode, output } = await run('doctor');
    expect(exitCode).toBe(1);
    expect(output).toMatch(/broker +FAILURE/);
  });
});

describe('countersign uninstall', () => {
  it('leaves nothing of the person’s, and needs no token', async () => {
    await host.enroll(broker);
    await run('schedule');
    const timer = join(host.folder, 'config', 'systemd', 'user', 'countersign-renew.timer');
    expect(readFileSync(timer, 'utf8')).toContain('OnCalendar=daily');
    const removed = await run('uninstall');
    expect(removed.exitCode, removed.errors).toBe(0);
    expect(existsSync(timer)).toBe(false);
    expect(existsSync(host.stateDirectory)).toBe(false);
    expect((await run('status')).output).toContain('no; run `countersign enroll`');
    expect((await run('uninstall')).exitCode).toBe(0);
  });
});
