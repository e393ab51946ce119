import { spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { PlantedMachine } from '../testing/probe-of-tree.ts';
import { readLinuxScreenLock } from './linux-screen-lock.ts';
import { machineProbe } from './posture-probe.ts';

const process_ = (pid: number, name: string, user = 1000) => ({
  [`/proc/${pid}/comm`]: `${name}\n`,
  [`/proc/${pid}/status`]: `Name:\t${name}\nUid:\t${user}\t${user}\t${user}\t${user}\n`,
});
const others = { ...process_(1, 'systemd', 0), ...process_(900, 'bash'), '/proc/meminfo': '' };
const gnome = { ...others, ...process_(1200, 'gnome-shell') };
const plasma = { ...others, ...process_(1200, 'plasmashell') };

const get = (key: string) => `/usr/bin/gsettings get org.gnome.desktop.${key}`;
const settings = (lockEnabled: string, idleDelay: string, lockDisabled: string) => ({
  [get('screensaver lock-enabled')]: `${lockEnabled}\n`,
  [get('session idle-delay')]: `${idleDelay}\n`,
  [get('lockdown disable-lock-screen')]: `${lockDisabled}\n`,
});

function machine(files: Readonly<Record<string, string>>) {
  const planted = new PlantedMachine({ files });
  onTestFinished(() => planted.remove());
  return planted;
}

describe('the screen lock of GNOME', () => {
  it.each<[string, string, string, boolean | undefined]>([
    ['true', 'uint32 300', 'false', true],
    ['false', 'uint32 300', 'false', false],
    ['true', 'uint32 0', 'false', false],
    ['true', 'uint32 300', 'true', false],
    ['true', 'never', 'false', undefined],
    ['', 'uint32 300', 'false', undefined],
  ])('with %s, %s, %s', async (lockEnabled, idleDelay, lockDisabled, verdict) => {
    const programs = settings(lockEnabled, idleDelay, lockDisabled);
    expect(await readLinuxScreenLock(machine(gnome).probe(programs))).toBe(verdict);
  });

  it('is not known where its settings are not told', async () => {
    expect(await readLinuxScreenLock(machine(gnome).probe())).toBe(undefined);
    const failing = { [get('session idle-delay')]: { exitCode: 1, errors: 'No such schema' } };
    const programs = { ...settings('true', '', 'false'), ...failing };
    expect(await readLinuxScreenLock(machine(gnome).probe(programs))).toBe(undefined);
  });

  it("is asked about only where it is the person's desktop", async () => {
    const programs = settings('true', 'uint32 300', 'false');
    for (const files of [
      others,
      { ...others, ...process_(1200, 'gnome-shell', 1001) },
      { ...gnome, ...process_(1300, 'plasmashell') },
    ]) {
      const planted = machine(files);
      expect(await readLinuxScreenLock(planted.probe(programs))).toBe(undefined);
      expect(planted.programsRun).toEqual([]);
    }
  });
});

describe('the screen lock of KDE Plasma', () => {
  const own = '/home/ada/.config/kscreenlockerrc';
  const everybody = '/etc/xdg/kscreenlockerrc';

  it.each<[Readonly<Record<string, string>>, boolean | undefined]>([
    [{}, true],
    [{ [own]: '[Daemon]\nAutolock=false\n' }, false],
    [{ [own]: '[Daemon]\nTimeout=0\n' }, false],
    [{ [own]: '[Daemon]\nAutolock=true\nTimeout=10\n' }, true],
    [{ [own]: '[Greeter]\nAutolock=false\n' }, true],
    [{ [own]: '[Daemon]\nTimeout=soon\n' }, undefined],
    [{ [everybody]: '[Daemon]\nAutolock=false\n' }, false],
    [{ [everybody]: '[Daemon]\nAutolock=false\n', [own]: '[Daemon]\nAutolock=true\n' }, true],
    [
      { [everybody]: '[Daemon][$i]\nAutolock=true\n', [own]: '[Daemon]\nAutolock=false\n' },
      undefined,
    ],
  ])('with %j', async (files, verdict) => {
    expect(await readLinuxScreenLock(machine({ ...plasma, ...files }).probe())).toBe(verdict);
  });
});

describe('on this machine', () => {
  // A program under the desktop's name is all that says that the desktop runs; its settings are the real ones.
  it('asks the real gsettings about a GNOME that runs', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-shell-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const program = join(folder, 'gnome-shell');
    copyFileSync('/usr/bin/sleep', program);
    const probe = { ...machineProbe(), homeDirectory: folder };
    expect(await readLinuxScreenLock(probe)).toBe(undefined);
    const shell = spawn(program, ['60'], { stdio: 'ignore' });
    onTestFinished(() => {
      shell.kill('SIGKILL');
    });
    await new Promise((resolve) => shell.once('spawn', resolve));
    const lock = await readLinuxScreenLock(probe);
    const enabled = await probe.run('/usr/bin/gsettings', [
      'get',
      'org.gnome.desktop.screensaver',
      'lock-enabled',
    ]);
    expect(lock).toBe(enabled?.exitCode === 0 ? enabled.output.trim() === 'true' : undefined);
  });
});
