// Posture of systems that these tests never ran on: what their programs are known to print.
import { describe, expect, it, onTestFinished } from 'vitest';
import { PlantedMachine, type Programs } from '../testing/probe-of-tree.ts';
import { measurePosture } from './measure-posture.ts';

async function measured(platform: NodeJS.Platform, programs: Programs) {
  const machine = new PlantedMachine({});
  onTestFinished(() => machine.remove());
  return await measurePosture(machine.probe(programs, { platform }));
}

describe('macOS', () => {
  const fileVault = '/usr/bin/fdesetup status';
  const firewall = '/usr/libexec/ApplicationFirewall/socketfilterfw --getglobalstate';
  const screenLock = '/usr/sbin/sysadminctl -screenLock status';
  const log = (text: string) => ({
    errors: `2026-11-22 09:14:03.127 sysadminctl[911:7203] ${text}\n`,
  });

  it.each<[Programs, object]>([
    [
      {
        [fileVault]: 'FileVault is On.\n',
        [firewall]: 'Firewall is enabled. (State = 1)\n',
        [screenLock]: log('screenLock is immediate'),
      },
      { disk_encryption: true, firewall: true, screen_lock: true },
    ],
    [
      {
        [fileVault]: 'FileVault is Off.\n',
        [firewall]: 'Firewall is disabled. (State = 0)\n',
        [screenLock]: log('screenLock is off'),
      },
      { disk_encryption: false, firewall: false, screen_lock: false },
    ],
    [
      {
        [fileVault]: 'FileVault is On.\nEncryption in progress: Percent completed = 41.2\n',
        [firewall]: 'Firewall is enabled. (State = 2)\n',
        [screenLock]: log('screenLock delay is 300 seconds'),
      },
      { disk_encryption: false, firewall: true, screen_lock: true },
    ],
    [
      { [fileVault]: 'FileVault is Off, but will be enabled after the next restart.\n' },
      { disk_encryption: false },
    ],
    [{ [fileVault]: 'FileVault is On, but needs to be restarted to finish.\n' }, {}],
    [
      {
        [fileVault]: { exitCode: 1, output: 'FileVault is On.\n' },
        [firewall]: 'Permission denied\n',
        [screenLock]: log('not in a session'),
      },
      {},
    ],
    [{}, {}],
  ])('%j', async (programs, posture) => {
    expect(await measured('darwin', programs)).toEqual(posture);
  });
});

describe('Windows', () => {
  const reg = (key: string, name: string) =>
    `C:\\Windows\\System32\\reg.exe query ${key} /v ${name}`;
  const value = (key: string, name: string, type: string, data: string) => ({
    [reg(key, name)]: `\r\n${key}\r\n    ${name}    ${type}    ${data}\r\n\r\n`,
  });
  const missing = (key: string, name: string) => ({
    [reg(key, name)]: {
      exitCode: 1,
      errors: 'ERROR: The system was unable to find the specified registry key or value.\r\n',
    },
  });
  const bitLocker =
    "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe -NoProfile -NonInteractive -Command (New-Object -ComObject Shell.Application).NameSpace($env:SystemDrive).Self.ExtendedProperty('System.Volume.BitLockerProtection')";

  const settings =
    'HKLM\\SYSTEM\\CurrentControlSet\\Services\\SharedAccess\\Parameters\\FirewallPolicy';
  const policies = 'HKLM\\SOFTWARE\\Policies\\Microsoft\\WindowsFirewall';
  const setting = (profile: string, on: 0 | 1) =>
    value(`${settings}\\${profile}`, 'EnableFirewall', 'REG_DWORD', `0x${on}`);
  const policy = (profile: string, on: 0 | 1) =>
    value(`${policies}\\${profile}`, 'EnableFirewall', 'REG_DWORD', `0x${on}`);
  const firewallOf = (domain: 0 | 1, standard: 0 | 1, publicOne: 0 | 1) => ({
    ...Object.assign(
      {},
      ...['DomainProfile', 'PrivateProfile', 'StandardProfile', 'PublicProfile'].map((profile) =>
        missing(`${policies}\\${profile}`, 'EnableFirewall'),
      ),
    ),
    ...setting('DomainProfile', domain),
    ...setting('StandardProfile', standard),
    ...setting('PublicProfile', publicOne),
  });

  const desktop = 'HKCU\\Control Panel\\Desktop';
  const desktopPolicies = 'HKCU\\Software\\Policies\\Microsoft\\Windows\\Control Panel\\Desktop';
  const system = 'HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Policies\\System';
  const deviceLock = 'HKLM\\SOFTWARE\\Microsoft\\PolicyManager\\current\\device\\DeviceLock';
  const screenNames = [
    'ScreenSaveActive',
    'ScreenSaverIsSecure',
    'ScreenSaveTimeOut',
    'SCRNSAVE.EXE',
  ];
  const noLock = {
    ...missing(system, 'InactivityTimeoutSecs'),
    ...missing(deviceLock, 'MaxInactivityTimeDeviceLock'),
    ...Object.assign(
      {},
      ...screenNames.flatMap((name) => [missing(desktop, name), missing(desktopPolicies, name)]),
    ),
  };
  const saver = (active: string, secure: string, seconds: string) => ({
    ...noLock,
    ...value(desktop, 'ScreenSaveActive', 'REG_SZ', active),
    ...value(desktop, 'ScreenSaverIsSecure', 'REG_SZ', secure),
    ...value(desktop, 'ScreenSaveTimeOut', 'REG_SZ', seconds),
    ...value(desktop, 'SCRNSAVE.EXE', 'REG_SZ', 'C:\\Windows\\system32\\scrnsave.scr'),
  });

  it.each<[string, Programs, object]>([
    ['BitLocker that is on', { [bitLocker]: '1\r\n' }, { disk_encryption: true }],
    ['BitLocker that is off', { [bitLocker]: '2\r\n' }, { disk_encryption: false }],
    ['BitLocker on its way', { [bitLocker]: '3\r\n' }, { disk_encryption: false }],
    ['BitLocker that is suspended', { [bitLocker]: '5\r\n' }, { disk_encryption: false }],
    ['a drive that BitLocker says nothing of', { [bitLocker]: '\r\n' }, {}],
    ['another word of the shell', { [bitLocker]: '8\r\n' }, {}],
    ['a firewall for every network', firewallOf(1, 1, 1), { firewall: true }],
    ['a firewall that is off for one', firewallOf(1, 0, 1), { firewall: false }],
    [
      'a policy against the setting',
      { ...firewallOf(1, 1, 1), ...policy('PublicProfile', 0) },
      { firewall: false },
    ],
    [
      'a policy for private networks, under either name',
      {
        ...firewallOf(1, 0, 0),
        ...policy('StandardProfile', 1),
        ...policy('PublicProfile', 1),
      },
      { firewall: true },
    ],
    [
      'a policy that cannot be asked',
      {
        ...firewallOf(1, 1, 1),
        [reg(`${policies}\\PublicProfile`, 'EnableFirewall')]: { exitCode: 5 },
      },
      {},
    ],
    ['no limit of any kind', noLock, { screen_lock: false }],
    [
      "the machine's limit",
      { ...noLock, ...value(system, 'InactivityTimeoutSecs', 'REG_DWORD', '0x384') },
      { screen_lock: true },
    ],
    [
      "the machine's limit of none",
      { ...noLock, ...value(system, 'InactivityTimeoutSecs', 'REG_DWORD', '0x0') },
      { screen_lock: false },
    ],
    [
      'the limit of a management',
      { ...noLock, ...value(deviceLock, 'MaxInactivityTimeDeviceLock', 'REG_DWORD', '0xf') },
      { screen_lock: true },
    ],
    ['a screen saver that asks', saver('1', '1', '600'), { screen_lock: true }],
    ['a screen saver that does not', saver('1', '0', '600'), { screen_lock: false }],
    ['a screen saver that never comes', saver('0', '1', '600'), { screen_lock: false }],
    [
      'a policy about the screen saver',
      {
        ...saver('1', '0', '600'),
        ...value(desktopPolicies, 'ScreenSaverIsSecure', 'REG_SZ', '1'),
      },
      { screen_lock: true },
    ],
    ['programs that do not answer', {}, {}],
  ])('%s', async (_, programs, posture) => {
    expect(await measured('win32', programs)).toEqual(posture);
  });
});

it('is not looked at on others', async () => {
  expect(await measured('freebsd', {})).toEqual({});
});
