import type { PostureProbe } from './posture-probe.ts';

/**
 * Whether the person's desktop locks a screen that nobody uses, by its own settings. Which desktop that is, a process of
 * the person's says: settings of a desktop that is not in use have their defaults, which would be a guess.
 */

const gsettings = '/usr/bin/gsettings';

const readers = {
  'gnome-shell': readGnome,
  plasmashell: readPlasma,
} as const;
type Shell = keyof typeof readers;

/** The desktops of which a process of this person's runs (proc(5): `comm`, and the real user id in `status`). */
function findShells(probe: PostureProbe): Set<Shell> {
  const found = new Set<Shell>();
  for (const pid of probe.listFolder('/proc') ?? []) {
    if (!/^\d+$/.test(pid)) continue;
    const name = probe.readText(`/proc/${pid}/comm`)?.trim();
    if (name !== 'gnome-shell' && name !== 'plasmashell') continue;
    const user = probe.readText(`/proc/${pid}/status`)?.match(/^Uid:\s+(\d+)/m)?.[1];
    if (Number(user) === probe.userId) found.add(name);
  }
  return found;
}

export async function readLinuxScreenLock(probe: PostureProbe): Promise<boolean | undefined> {
  const [shell, ...others] = findShells(probe);
  return shell === undefined || others.length > 0 ? undefined : await readers[shell](probe);
}

async function readGnome({ run }: PostureProbe): Promise<boolean | undefined> {
  const read = async (schema: string, key: string) => {
    const got = await run(gsettings, ['get', `org.gnome.desktop.${schema}`, key]);
    return got?.exitCode === 0 ? got.output.trim() : undefined;
  };
  const [lockEnabled, idleDelay, lockDisabled] = await Promise.all([
    read('screensaver', 'lock-enabled'),
    read('session', 'idle-delay'),
    read('lockdown', 'disable-lock-screen'),
  ]);
  const idleSeconds = idleDelay?.match(/^uint32 (\d+)$/)?.[1];
  if (lockEnabled === 'false' || lockDisabled === 'true' || idleSeconds === '0') return false;
  return lockEnabled === 'true' && lockDisabled === 'false' && idleSeconds !== undefined
    ? true
    : undefined;
}

/** kscreenlocker's settings; what no file has is as KDE's own defaults are: locked, after five minutes. */
async function readPlasma({ readText, homeDirectory }: PostureProbe): Promise<boolean | undefined> {
  const files = [`${homeDirectory}/.config/kscreenlockerrc`, '/etc/xdg/kscreenlockerrc'].map(
    (path) => readText(path) ?? '',
  );
  // `[$i]` and its like turn the order of the files around; then only KDE itself knows.
  if (files.some((text) => text.includes('[$'))) return undefined;
  const propertyOf = (name: string, byDefault: string) =>
    files.map((text) => iniValue(text, 'Daemon', name)).find((value) => value !== undefined) ??
    byDefault;
  const autolock = propertyOf('Autolock', 'true').toLowerCase();
  const minutes = Number(propertyOf('Timeout', '5'));
  if (autolock === 'false' || minutes === 0) return false;
  return autolock === 'true' && minutes > 0 ? true : undefined;
}

function iniValue(text: string, group: string, name: string): string | undefined {
  let current = '';
  let value: string | undefined;
  for (const line of text.split('\n')) {
    const heading = line.match(/^\s*\[(.+)\]\s*$/)?.[1];
    if (heading !== undefined) current = heading;
    const [, key, text = ''] = line.match(/^\s*([^=\s]+)\s*=\s*(.*?)\s*$/) ?? [];
    if (current === group && key === name) value = text;
  }
  return value;
}
