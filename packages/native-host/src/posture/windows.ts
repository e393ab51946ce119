import type { PostureSwitches } from '@countersign/protocol/posture';
import { all, type PostureProbe } from './posture-probe.ts';

/**
 * Never tried on Windows: read of what these programs are known to print. None of them needs an administrator, and none of
 * what is looked at is translated, as the words of netsh and manage-bde are.
 */

const powershell = String.raw`C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe`;
const reg = String.raw`C:\Windows\System32\reg.exe`;

/** A value of the registry; `missing` where there is no such key or value, `undefined` where that is not known. */
async function readValue(
  { run }: PostureProbe,
  key: string,
  name: string,
): Promise<string | 'missing' | undefined> {
  const got = await run(reg, ['query', key, '/v', name]);
  if (got === undefined) return undefined;
  if (got.exitCode === 1) return 'missing';
  const value = got.output.match(/^\s+\S.*?\s+REG_(?:DWORD|SZ)\s*(.*?)\s*$/m)?.[1];
  return got.exitCode === 0 ? value : undefined;
}

/** `0x` and hexadecimal digits, as reg prints a DWORD, or a text of decimal digits. */
function numberOf(value: string | undefined): number | undefined {
  return value !== undefined && /^(0x[0-9a-f]+|\d+)$/i.test(value) ? Number(value) : undefined;
}

/**
 * The shell's word on the drive that Windows is on, which needs no rights: 1 is on, 2 off, 3 and 4 on the way there and
 * back, 5 suspended. Others are not said to be either.
 */
async function readBitLocker({ run }: PostureProbe): Promise<boolean | undefined> {
  const got = await run(powershell, [
    '-NoProfile',
    '-NonInteractive',
    '-Command',
    "(New-Object -ComObject Shell.Application).NameSpace($env:SystemDrive).Self.ExtendedProperty('System.Volume.BitLockerProtection')",
  ]);
  const state = got?.exitCode === 0 ? got.output.trim() : '';
  if (state === '1') return true;
  return ['2', '3', '4', '5'].includes(state) ? false : undefined;
}

const profiles = [
  ['DomainProfile', 'DomainProfile'],
  // The profile of private networks is called so in both places, and Standard in one of them.
  ['StandardProfile', 'PrivateProfile'],
  ['PublicProfile', 'PublicProfile'],
] as const;
const firewallSettings = String.raw`HKLM\SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy`;
const firewallPolicies = String.raw`HKLM\SOFTWARE\Policies\Microsoft\WindowsFirewall`;

/** On for every kind of network; what a policy says of one counts before the setting. */
async function readFirewall(probe: PostureProbe): Promise<boolean | undefined> {
  const verdicts = profiles.map(async ([setting, policy]) => {
    const [byPolicy, byOlderPolicy, bySetting] = await Promise.all([
      readValue(probe, `${firewallPolicies}\\${policy}`, 'EnableFirewall'),
      policy === setting
        ? 'missing'
        : readValue(probe, `${firewallPolicies}\\${setting}`, 'EnableFirewall'),
      readValue(probe, `${firewallSettings}\\${setting}`, 'EnableFirewall'),
    ]);
    if (byPolicy === undefined || byOlderPolicy === undefined) return undefined;
    const counting = [byPolicy, byOlderPolicy].find((value) => value !== 'missing') ?? bySetting;
    const value = numberOf(counting);
    return value === undefined ? undefined : value !== 0;
  });
  return all(await Promise.all(verdicts));
}

const desktopPolicies = String.raw`HKCU\Software\Policies\Microsoft\Windows\Control Panel\Desktop`;
const desktopSettings = String.raw`HKCU\Control Panel\Desktop`;
const systemPolicies = String.raw`HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System`;
const deviceLock = String.raw`HKLM\SOFTWARE\Microsoft\PolicyManager\current\device\DeviceLock`;

/** The machine's limit of inactivity, that of a device management, or a screen saver of the person's that asks for a password. */
async function readScreenLock(probe: PostureProbe): Promise<boolean | undefined> {
  const ofDesktop = async (name: string) => {
    const [policy, setting] = await Promise.all([
      readValue(probe, desktopPolicies, name),
      readValue(probe, desktopSettings, name),
    ]);
    return policy === 'missing' ? setting : policy;
  };
  const [limit, managedLimit, isActive, isSecure, seconds, program] = await Promise.all([
    readValue(probe, systemPolicies, 'InactivityTimeoutSecs'),
    readValue(probe, deviceLock, 'MaxInactivityTimeDeviceLock'),
    ofDesktop('ScreenSaveActive'),
    ofDesktop('ScreenSaverIsSecure'),
    ofDesktop('ScreenSaveTimeOut'),
    ofDesktop('SCRNSAVE.EXE'),
  ]);
  const isLimit = (value: string | undefined) => (numberOf(value) ?? 0) > 0;
  const isScreenSaver =
    program !== undefined && program !== 'missing' && program !== '' && isLimit(seconds);
  if (isLimit(limit) || isLimit(managedLimit)) return true;
  if (isScreenSaver && isLimit(isActive) && isLimit(isSecure)) return true;
  const looked = [limit, managedLimit, isActive, isSecure, seconds, program];
  return looked.includes(undefined) ? undefined : false;
}

export async function readWindowsPosture(probe: PostureProbe): Promise<PostureSwitches> {
  const [disk_encryption, firewall, screen_lock] = await Promise.all([
    readBitLocker(probe),
    readFirewall(probe),
    readScreenLock(probe),
  ]);
  return { disk_encryption, firewall, screen_lock };
}
