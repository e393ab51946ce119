import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { posture } from '@countersign/protocol/device-response';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  currentPosture,
  maxPostureAgeSeconds,
  measureAndKeepPosture,
  measurePostureIfDue,
} from './current-posture.ts';
import { describePosture, switchedOff } from './describe-posture.ts';
import { readKeptPosture } from './kept-posture.ts';
import { measurePosture } from './measure-posture.ts';
import { machineProbe } from './posture-probe.ts';

const nowSeconds = 1_800_000_000;
let folder: string;
let file: string;
let looks: number;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-posture-'));
  chmodSync(folder, 0o700);
  file = join(folder, 'posture.json');
  looks = 0;
});
afterEach(() => rmSync(folder, { recursive: true }));

const measure = async () => {
  looks += 1;
  return { disk_encryption: true, firewall: false };
};
const at = (seconds: number) => currentPosture(folder, seconds, measure);

describe('what a sign-in says', () => {
  it('is what was kept, as long as that is young enough', async () => {
    await measureAndKeepPosture(folder, nowSeconds, measure);
    const said = await at(nowSeconds + maxPostureAgeSeconds);
    expect(said).toMatchObject({
      disk_encryption: true,
      firewall: false,
      measured_at: nowSeconds,
      platform: 'linux',
    });
    expect(said).not.toHaveProperty('screen_lock');
    expect(posture.parse(said)).toEqual(said);
    expect(looks).toBe(1);
  });

  it('is looked at anew where nothing was kept, or too long ago, or for a time to come', async () => {
    expect((await at(nowSeconds)).measured_at).toBe(nowSeconds);
    const later = nowSeconds + maxPostureAgeSeconds + 1;
    expect((await at(later)).measured_at).toBe(later);
    expect((await at(nowSeconds)).measured_at).toBe(nowSeconds);
    expect(looks).toBe(3);
  });

  it.each<[string, () => void]>([
    ['that others may write', () => chmodSync(file, 0o666)],
    ['in a folder that others may write in', () => chmodSync(folder, 0o777)],
    ['that is none', () => writeFileSync(file, 'true')],
    [
      'with more in it than there can be',
      () => writeFileSync(file, `{"version":1,"measured_at":${nowSeconds},"trusted":true}`),
    ],
  ])('is not read from a file %s', async (_, spoil) => {
    await measureAndKeepPosture(folder, nowSeconds, measure);
    spoil();
    expect(readKeptPosture(folder, nowSeconds)).toBe(undefined);
    expect((await at(nowSeconds + 1)).measured_at).toBe(nowSeconds + 1);
    chmodSync(folder, 0o700);
  });

  it('is said, too, where nothing can be kept', async () => {
    chmodSync(folder, 0o755);
    expect(await at(nowSeconds)).toMatchObject({ disk_encryption: true, measured_at: nowSeconds });
    chmodSync(folder, 0o700);
  });
});

it('keeps it for its owner alone', async () => {
  await measureAndKeepPosture(folder, nowSeconds, measure);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({
    version: 1,
    measured_at: nowSeconds,
    disk_encryption: true,
    firewall: false,
  });
});

it('is measured again after an answer, though not after each', async () => {
  const due = (seconds: number) => measurePostureIfDue(folder, seconds, measure);
  await due(nowSeconds);
  await due(nowSeconds + 600);
  expect(looks).toBe(1);
  await due(nowSeconds + 601);
  expect(looks).toBe(2);
  expect(readKeptPosture(folder, nowSeconds + 700)?.measured_at).toBe(nowSeconds + 601);
});

it('is described in one line', async () => {
  const said = { ...(await at(nowSeconds)), os_version: 'debian 12' };
  expect(describePosture(said)).toBe(
    'debian 12, disk encryption on, firewall off, screen lock not known; measured 2027-01-15T08:00:00.000Z',
  );
  expect(switchedOff(said)).toEqual(['firewall']);
});

describe('this machine', () => {
  it('is measured within the time of a sign-in, and fits the message', async () => {
    const measured = await measurePosture();
    for (const value of Object.values(measured)) expect(typeof value).toBe('boolean');
    expect(posture.parse({ platform: 'linux', os_version: '', ...measured })).toBeDefined();
  });

  it('gives a program no more than its time, no environment, and no shell', async () => {
    const probe = machineProbe();
    const began = performance.now();
    expect(await probe.run('/usr/bin/sleep', ['30'])).toBe(undefined);
    expect(performance.now() - began).toBeLessThan(5000);
    expect(await probe.run('/nonexistent', [])).toBe(undefined);
    const shown = await probe.run('/usr/bin/env', ['--', '/usr/bin/printenv']);
    expect(shown?.output.split('\n').map((line) => line.split('=')[0])).toEqual([
      'LC_ALL',
      'HOME',
      'XDG_RUNTIME_DIR',
      '',
    ]);
    const mark = join(folder, 'mark');
    await probe.run('/usr/bin/printenv', [`; touch ${mark}`]);
    expect(existsSync(mark)).toBe(false);
    expect(await probe.run('/usr/bin/false', [])).toMatchObject({ exitCode: 1 });
    expect(await probe.run('/usr/bin/yes', [])).toBe(undefined);
  });
});
