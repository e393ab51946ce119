// Posture: what a device says of itself, what its management reports of it, and what rules make of both.
import { env, runInDurableObject } from 'cloudflare:test';
import {
  CompiledPolicy,
  evaluatePolicy,
  explainConditions,
  policyChange,
  policyDocument,
  recordedFacts,
  simulationAnswer,
} from '@countersign/policy';
import { deviceAnswer, enrollmentTokenAnswer } from '@countersign/protocol/admin';
import { evaluationAnswer } from '@countersign/protocol/evaluation';
import { maxPostureReportAgeSeconds } from '@countersign/protocol/limits';
import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { FakeDevice } from '@countersign/testkit/fake-device';
import { beforeAll, describe, expect, it } from 'vitest';
import { findDevice } from '../../worker/src/device/device-records.ts';
import { readManagement } from '../../worker/src/device/management-facts.ts';
import { noteManagement } from '../../worker/src/device/note-management.ts';
import { createIntegration, inventoryFile } from './test-administration.ts';
import { broker } from './test-broker.ts';
import { inShard, recordOf, shardOf, sqlInShard } from './test-objects.ts';

const dayMs = 86_400_000;

let client: TestClient;
let integration: string;
let integrationsPath: string;
/** What the inventory file has, a line for each device. */
const lines: string[] = [];

beforeAll(async () => {
  client = await broker.registerClient();
  const created = await createIntegration({ ...inventoryFile, authority: 'one_time_token' });
  integration = created.integration.integration_id;
  integrationsPath = `/v1/admin/integrations/${integration}`;
  const state = { state: { mode: 'all_users' } };
  expect((await broker.admin('PUT', `${integrationsPath}/state`, state)).status).toBe(200);
});

async function putInventory() {
  const header = 'serial_number,disk_encryption,firewall,screen_lock,os_version,platform';
  const response = await broker.sendCsv(
    `${integrationsPath}/inventory`,
    [header, ...lines].join('\n'),
  );
  expect(response.status, await response.text()).toBe(200);
}

/** A device that the management reports so: `true,false,,14.5,macos` for the columns after the serial number. */
async function managed(report: string): Promise<FakeDevice> {
  const device = await FakeDevice.create();
  lines.push(`${device.hardwareId.serial_number},${report}`);
  await putInventory();
  const answer = await broker.admin('POST', '/v1/admin/enrollment-tokens', {
    hardware_id: device.hardwareId,
    ttl_seconds: 600,
    integration_id: integration,
  });
  const { enrollment_token } = enrollmentTokenAnswer.parse(await answer.json());
  await broker.enroll(device, enrollment_token);
  return device;
}

const rule = (posture: object) => ({ id: 'kept', when: { posture }, effect: 'allow' });

async function putPolicy(posture: object, more: readonly object[] = []) {
  const path = `/v1/admin/applications/${client.application}/policy`;
  const policy = { enforcement: 'enforce', rules: [rule(posture), ...more], otherwise: 'deny' };
  const response = await broker.admin('PUT', path, { policy });
  expect(response.status, await response.clone().text()).toBe(200);
  const { findings } = (await response.json()) as { findings: { code: string }[] };
  return { findings, policy: policyChange.parse({ policy }).policy };
}

/** A sign-in of the device's own user. */
async function signIn(device: FakeDevice, said: object = {}) {
  const user = `user-${device.deviceId}`;
  const transaction = randomText();
  const challenge = await broker.challenge(client, transaction);
  const posture = { platform: 'macos', os_version: '14.5', ...said };
  const evidence = await device.evidence(challenge, client.origin, { claims: { posture } });
  const body = broker.evaluationBody(client, { subject: user, transaction, evidence });
  const response = await broker.sendEvaluation(client, body);
  const { decision, context } = evaluationAnswer.parse(await response.json());
  return { decision, context };
}

const alterManagement = (device: FakeDevice, assignment: string) =>
  sqlInShard(
    shardOf(device.deviceId),
    `UPDATE devices SET management = ${assignment} WHERE device_id = ?`,
    device.deviceId ?? '',
  );

/** What the rule saw, as the record tells it to an administrator. */
async function seenBy(
  { context }: Awaited<ReturnType<typeof signIn>>,
  { policy }: Awaited<ReturnType<typeof putPolicy>>,
) {
  const facts = recordedFacts(await recordOf(context.decision_id));
  return explainConditions(policy.rules[0]?.when ?? {}, facts, []).map(({ seen }) => seen);
}

describe('a rule on posture', () => {
  const encrypted = { disk_encryption: true };
  const [device, mdm] = [{ reported_by: 'device' }, { reported_by: 'mdm' }];

  // What the management reports, what the device says, the rule, and whether it lets the device in.
  it.each<[string, object, object, boolean]>([
    ['true,,,,', {}, encrypted, true],
    [',,,,', { disk_encryption: true }, encrypted, true],
    [',,,,', { disk_encryption: false }, encrypted, false],
    [',,,,', {}, encrypted, false],
    // Where both said something, the management's word counts.
    ['false,,,,', { disk_encryption: true }, encrypted, false],
    ['true,,,,', { disk_encryption: false }, encrypted, true],
    ['true,,,,', { disk_encryption: false }, { ...encrypted, ...device }, false],
    ['true,,,,', {}, { ...encrypted, ...device }, false],
    ['false,,,,', { disk_encryption: true }, { ...encrypted, ...device }, true],
    [',,,,', { disk_encryption: true }, { ...encrypted, ...mdm }, false],
    ['true,,,,', {}, { ...encrypted, ...mdm }, true],
    ['true,,true,,', { firewall: true }, { ...encrypted, firewall: true, screen_lock: true }, true],
    [
      'true,,true,,',
      { firewall: false },
      { ...encrypted, firewall: true, screen_lock: true },
      false,
    ],
    [',,,14.4,macos', {}, { minimum_os_version: { macos: '14.5' } }, false],
    [',,,14.5,macos', {}, { minimum_os_version: { macos: '14.5' }, ...mdm }, true],
    [',,,14.4,macos', {}, { minimum_os_version: { macos: '14.5' }, ...device }, true],
  ])('of %s by mdm, %j by the device: %j lets in: %s', async (report, said, posture, letsIn) => {
    const own = await managed(report);
    await putPolicy(posture);
    expect((await signIn(own, said)).decision).toBe(letsIn);
  });

  it('holds the version of the management against the platform of the management, whatever the device says', async () => {
    const minimum_os_version = { macos: '14.5', windows: '10.0.22000' };
    const forged = { platform: 'windows', os_version: '10.0.26100' };
    const [old, fresh, unnamed] = [
      await managed(',,,13.2,macos'),
      await managed(',,,14.6,macos'),
      await managed(',,,14.6,'),
    ];
    for (const reporter of [mdm, {}]) {
      const versions = await putPolicy({ minimum_os_version, ...reporter });
      const refused = await signIn(old, forged);
      expect(refused.decision).toBe(false);
      expect(await seenBy(refused, versions)).toEqual(['macos 13.2 (mdm)']);
      expect((await signIn(fresh, forged)).decision).toBe(true);
      expect((await signIn(unnamed)).decision).toBe(false);
    }
    await putPolicy({ minimum_os_version, ...device });
    expect((await signIn(old, forged)).decision).toBe(true);
  });

  it('has on record who said what it saw, and tells the sign-in server nothing of it', async () => {
    const own = await managed('true,false,,14.6,macos');
    const versions = await putPolicy({
      disk_encryption: true,
      minimum_os_version: { macos: '14.5' },
    });
    const first = await signIn(own, { screen_lock: true });
    expect(await seenBy(first, versions)).toEqual([
      'disk_encryption: true (mdm), macos 14.6 (mdm)',
    ]);
    expect(first.context.policy.criteria).toEqual([
      {
        criterion: 'posture',
        verdict: 'met',
        wanted: 'disk_encryption: true, macos 14.5 or newer',
        seen: 'in the record',
      },
    ]);
    const locked = await putPolicy({ screen_lock: true });
    const second = await signIn(own, { screen_lock: true });
    expect(await seenBy(second, locked)).toEqual(['screen_lock: true (device)']);
    expect(JSON.stringify(second)).not.toContain('(device)');
  });

  it('takes nobody at their word about a device that is not trusted', async () => {
    const own = await managed('true,true,true,14.5,macos');
    await putPolicy({ disk_encryption: true });
    expect((await signIn(own)).decision).toBe(true);
    await broker.admin('POST', `/v1/admin/devices/${own.deviceId}/revoke`, {
      reason: 'keyCompromise',
    });
    const after = await signIn(own, { disk_encryption: true });
    expect(after).toMatchObject({
      decision: false,
      context: { device_trusted: false, reason_code: 'certificate_revoked' },
    });
  });

  it('is stricter where nobody knows', async () => {
    const own = await managed(',,,,');
    const factor = { acr_values: ['phr'], amr_values: [] };
    await putPolicy({ disk_encryption: true }, [
      { id: 'others', when: { device_trust: 'trusted' }, effect: 'step_up', factor },
    ]);
    const asked = await signIn(own);
    expect(asked).toMatchObject({ decision: false, context: { reason_code: 'step_up_required' } });
    expect((await signIn(own, { disk_encryption: true })).decision).toBe(true);
  });
});

describe("the management's word", () => {
  const mdm = { disk_encryption: true, reported_by: 'mdm' };

  it.each<[string, number, boolean]>([
    ['counts as long as the limit says', maxPostureReportAgeSeconds * 1000 - dayMs, true],
    ['counts no longer after that', maxPostureReportAgeSeconds * 1000 + 1000, false],
  ])('%s', async (_, ageMs, letsIn) => {
    const own = await managed('true,,,,');
    await putPolicy(mdm);
    const reportedAt = Date.now() - ageMs;
    await alterManagement(own, `json_set(management, '$.posture.reported_at_ms', ${reportedAt})`);
    expect((await signIn(own)).decision).toBe(letsIn);
    const { posture } = await broker.device(own.deviceId ?? '');
    expect(posture?.mdm).toEqual({
      reported_at: new Date(reportedAt).toISOString(),
      counts: letsIn,
      disk_encryption: true,
    });
  });

  it('gives way to the device where it is too old, if anybody may say it', async () => {
    const own = await managed('false,,,,');
    await putPolicy({ disk_encryption: true });
    expect((await signIn(own, { disk_encryption: true })).decision).toBe(false);
    await alterManagement(own, `json_set(management, '$.posture.reported_at_ms', 1)`);
    expect((await signIn(own, { disk_encryption: true })).decision).toBe(true);
    expect((await signIn(own)).decision).toBe(false);
  });

  it('is of an integration that there is', async () => {
    const own = await managed('true,,,,');
    await putPolicy(mdm);
    await alterManagement(own, `json_set(management, '$.integration_id', 'int_gone')`);
    expect((await signIn(own)).decision).toBe(false);
  });

  it('reaches the shard by polling, and costs a sign-in no row', async () => {
    const own = await managed('true,,,,');
    await putPolicy(mdm);
    expect((await signIn(own)).decision).toBe(true);
    lines.pop();
    lines.push(`${own.hardwareId.serial_number},false,,,,`);
    await putInventory();
    expect((await signIn(own)).decision).toBe(true);
    const object = env.INTEGRATION.get(env.INTEGRATION.idFromName(integration));
    await runInDurableObject(object, async (instance, { storage }) => {
      storage.sql.exec('UPDATE polling SET next_page_at_ms = 0');
      await instance.alarm();
    });
    const shard = shardOf(own.deviceId);
    const writes = () => sqlInShard(shard, 'SELECT count FROM changes');
    const before = await writes();
    expect((await signIn(own)).decision).toBe(false);
    expect(await writes()).toEqual(before);
  });

  it('is taken of the management that the certificate came through, in the order of its words', async () => {
    const own = await managed('true,,,,');
    const deviceId = own.deviceId ?? '';
    const shard = shardOf(deviceId);
    const noted = () =>
      inShard(shard, (_, { storage }) =>
        readManagement(findDevice(storage.sql, deviceId)?.management ?? null),
      );
    const note = async (integration_id: string, checked_at_ms: number, firewall: boolean) => {
      const posture = { reported_at_ms: checked_at_ms, firewall };
      const facts = { integration_id, checked_at_ms, posture };
      await inShard(shard, (_, { storage }) =>
        noteManagement(storage.sql, { deviceId, facts }, Date.now()),
      );
      return (await noted())?.posture?.firewall;
    };
    const atMs = (await noted())?.checked_at_ms ?? 0;
    expect(await note('int_other', atMs + 1, true)).toBe(undefined);
    expect(await note(integration, atMs - 1, true)).toBe(undefined);
    expect(await note(integration, atMs + 1, true)).toBe(true);
    // A clock that went ahead and was set back does not keep newer words out.
    expect(await note(integration, Date.now() + dayMs, false)).toBe(false);
    expect(await note(integration, atMs + 2, true)).toBe(true);
  });
});

describe('a decision that looked at posture', () => {
  it('is on record with both words, and comes to the same when it is asked again', async () => {
    const own = await managed('true,,,14.6,macos');
    const { policy } = await putPolicy({
      disk_encryption: true,
      screen_lock: true,
      minimum_os_version: { macos: '14.5' },
    });
    const measured_at = Math.floor(Date.now() / 1000) - 60;
    const said = { disk_encryption: false, screen_lock: true, firewall: false, measured_at };
    const { context } = await signIn(own, said);
    const refused = await signIn(own, { screen_lock: false });
    const document = policyDocument.parse({ version: 1, ...policy });
    const compiled = new CompiledPolicy(document, []);
    for (const { decision_id, reason_code } of [context, refused.context]) {
      const record = await recordOf(decision_id);
      const again = evaluatePolicy(
        document,
        (facts) => compiled.findMatch(facts),
        recordedFacts(record),
      );
      expect(again).toMatchObject({ reason: record.reason, rule: record.rule });
      expect(record.reason).toBe(reason_code);
    }
    const record = await recordOf(context.decision_id);
    expect(record.response?.posture).toEqual({ platform: 'macos', os_version: '14.5', ...said });
    expect(record.facts?.posture_report).toEqual({
      reported_at_ms: expect.any(Number),
      disk_encryption: true,
      platform: 'macos',
      os_version: '14.6',
    });
    expect([context.reason_code, refused.context.reason_code]).toEqual([
      'trusted_device',
      'policy_denied',
    ]);
  });

  it('is what a simulation of another draft asks about', async () => {
    client = await broker.registerClient();
    const own = await managed('true,false,,,');
    await putPolicy({ disk_encryption: true });
    expect((await signIn(own, { firewall: true })).decision).toBe(true);
    const simulate = async (posture: object) => {
      const response = await broker.admin(
        'POST',
        `/v1/admin/applications/${client.application}/policy/simulate`,
        {
          policy: { enforcement: 'enforce', rules: [rule(posture)], otherwise: 'deny' },
          since: new Date(Date.now() - 3_600_000).toISOString(),
        },
      );
      const { decisions, newly_denied } = simulationAnswer.parse(await response.json());
      return [decisions, newly_denied];
    };
    expect(await simulate({ disk_encryption: true, reported_by: 'mdm' })).toEqual([1, 0]);
    expect(await simulate({ disk_encryption: true, reported_by: 'device' })).toEqual([1, 1]);
    expect(await simulate({ firewall: true, reported_by: 'device' })).toEqual([1, 0]);
    expect(await simulate({ firewall: true })).toEqual([1, 1]);
  });
});

describe('an administrator', () => {
  it('sees how a device is kept, by who says so and since when', async () => {
    const own = await managed('true,,,14.6,macos');
    const idPath = `/v1/admin/devices/${own.deviceId}`;
    const shown = async (path: string) =>
      deviceAnswer.parse(await (await broker.admin('GET', path)).json()).posture;
    const mdm = {
      reported_at: expect.stringMatching(/Z$/),
      counts: true,
      disk_encryption: true,
      platform: 'macos',
      os_version: '14.6',
    };
    expect(await shown(idPath)).toEqual({ mdm });
    await putPolicy({ disk_encryption: true });
    await signIn(own, { firewall: false, measured_at: 1_795_293_000 });
    expect(await shown(idPath)).toEqual({
      mdm,
      device: {
        told_at: expect.stringMatching(/Z$/),
        platform: 'macos',
        os_version: '14.5',
        firewall: false,
        measured_at: '2026-11-21T20:30:00.000Z',
      },
    });
  });

  it('is warned of posture that no management reports, where one is to report it', async () => {
    const { findings } = await putPolicy({ firewall: true, reported_by: 'mdm' });
    expect(findings.map(({ code }) => code)).not.toContain('posture_not_reported');
    await broker.admin('PUT', `${integrationsPath}/state`, {
      state: { mode: 'disabled' },
      override: true,
    });
    const disabled = await putPolicy({ firewall: true, reported_by: 'mdm' });
    expect(disabled.findings.map(({ code }) => code)).toContain('posture_not_reported');
    const others = await putPolicy({ firewall: true });
    expect(others.findings.map(({ code }) => code)).not.toContain('posture_not_reported');
  });
});
