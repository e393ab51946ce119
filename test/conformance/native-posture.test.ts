// What the shipped host says of the machine with its answers, and what the real broker makes of it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { measurePosture } from '@countersign/native-host';
import type { TestClient } from '@countersign/testkit/broker-client';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { NativeHost } from '../support/native-host.ts';
import { evidenceOf, openTransaction } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

const origin = 'https://sso.example.com';

const recorded = z.object({
  sequence: z.int(),
  response: z.object({ posture: z.record(z.string(), z.unknown()) }),
});

let broker: TestBroker;
let client: TestClient;
let host: NativeHost;
let desktop: string;
let shell: ChildProcess;
let keptFile: string;

beforeAll(async () => {
  // A desktop that runs, as far as a process says it: so there is a screen lock to be told.
  desktop = mkdtempSync(join(tmpdir(), 'countersign-desktop-'));
  copyFileSync('/usr/bin/sleep', join(desktop, 'gnome-shell'));
  shell = spawn(join(desktop, 'gnome-shell'), ['600'], { stdio: 'ignore' });
  await once(shell, 'spawn');
  broker = await TestBroker.start();
  client = await broker.client.registerClient({ origin });
  host = await NativeHost.install({ origins: [origin] });
  await host.enroll(broker);
  keptFile = join(host.stateDirectory, 'posture.json');
});
afterAll(async () => {
  shell?.kill('SIGKILL');
  rmSync(desktop, { recursive: true });
  host?.remove();
  await broker?.stopAndRemove();
});
beforeEach(() => rmSync(keptFile, { force: true }));

const nowSeconds = () => Math.floor(Date.now() / 1000);
const kept = () => JSON.parse(readFileSync(keptFile, 'utf8'));
const keep = (ageSeconds: number, switches: object, mode = 0o600) => {
  const measured_at = nowSeconds() - ageSeconds;
  writeFileSync(keptFile, JSON.stringify({ version: 1, measured_at, ...switches }));
  chmodSync(keptFile, mode);
  return measured_at;
};

/** What the broker has on record of a sign-in. */
async function signIn() {
  const { transaction, challenge } = await openTransaction(broker, client);
  const answer = await host.attest(challenge, origin);
  if (answer.type !== 'attest') throw new Error(`the host answered ${answer.type}`);
  const evidence = evidenceOf(challenge, answer.response);
  const { decision, context } = await broker.client.evaluate(client, { transaction, evidence });
  const [shard = 0, sequence] = context.decision_id.split('.').map(Number);
  const { rows } = await broker.client.decisions(shard);
  const record = rows
    .map((row) => JSON.parse(row.record) as { sequence: number })
    .find((row) => row.sequence === sequence);
  return { decision, posture: recorded.parse(record).response.posture };
}

it('says what the machine is like, when it was looked at, and nothing that is not known', async () => {
  const machine = await measurePosture();
  const before = nowSeconds();
  const { decision, posture } = await signIn();
  expect(decision).toBe(true);
  const { platform, os_version, measured_at, ...switches } = posture;
  expect([platform, os_version]).toEqual(['linux', expect.any(String)]);
  expect(switches).toEqual(machine);
  expect(measured_at).toBeGreaterThanOrEqual(before);
  expect(kept()).toMatchObject({ measured_at, ...machine });
});

it('says what it looked at lately, and looks again afterwards', async () => {
  const invented = { disk_encryption: true, firewall: true, screen_lock: false };
  const lately = keep(500, invented);
  expect((await signIn()).posture).toMatchObject({ ...invented, measured_at: lately });
  expect(kept().measured_at).toBe(lately);
  const earlier = keep(700, invented);
  expect((await signIn()).posture).toMatchObject({ ...invented, measured_at: earlier });
  const machine = await measurePosture();
  expect(kept()).toMatchObject(machine);
  expect(kept().measured_at).toBeGreaterThan(earlier);
});

it.each<[string, () => number]>([
  ['too old', () => keep(3700, { firewall: true })],
  ['of a time to come', () => keep(-3600, { firewall: true })],
  ['of a file that others may write', () => keep(10, { firewall: true }, 0o666)],
])('looks by itself where what was kept is %s', async (_, spoil) => {
  const measuredAt = spoil();
  const { posture } = await signIn();
  const { platform: _platform, os_version: _version, measured_at, ...switches } = posture;
  expect(switches).toEqual(await measurePosture());
  expect(measured_at).not.toBe(measuredAt);
});

it('is asked about by rules', async () => {
  const putPolicy = async (condition: object) => {
    const rules = [{ id: 'kept', when: { posture: condition }, effect: 'allow' }];
    const path = `/v1/admin/applications/${client.application}/policy`;
    const policy = { enforcement: 'enforce', rules, otherwise: 'deny' };
    const answer = await broker.client.admin('PUT', path, { policy });
    expect(answer.status, await answer.text()).toBe(200);
  };
  await putPolicy({ firewall: true, reported_by: 'device' });
  keep(10, { firewall: true });
  expect((await signIn()).decision).toBe(true);
  keep(10, { firewall: false });
  expect((await signIn()).decision).toBe(false);
  keep(10, { disk_encryption: true });
  expect((await signIn()).decision).toBe(false);
});

it('is shown by status, looked at anew by doctor, and kept by the task that renews', async () => {
  const run = async (...args: string[]) => (await host.command(args)).output.toString();
  keep(100, { disk_encryption: true, firewall: false });
  expect(await run('status')).toMatch(
    /^posture +.*, disk encryption on, firewall off, screen lock not known; measured 20/m,
  );
  expect(JSON.parse(await run('status', '--json')).posture).toMatchObject({
    platform: 'linux',
    disk_encryption: true,
    firewall: false,
    measured_at: kept().measured_at,
  });
  const before = kept().measured_at;
  await run('renew', '--if-due');
  const machine = await measurePosture();
  expect(kept()).toMatchObject(machine);
  expect(kept().measured_at).toBeGreaterThan(before);
  keep(100, {});
  const words = machine.disk_encryption === false ? 'WARNING: .*disk encryption off' : '.*';
  expect(await run('doctor')).toMatch(new RegExp(`^posture +${words}`, 'm'));
});

it('goes with the rest at an uninstallation', async () => {
  keep(100, { firewall: true });
  const { exitCode } = await host.command(['uninstall']);
  expect([exitCode, existsSync(host.stateDirectory)]).toEqual([0, false]);
});
