import { posix } from 'node:path';
import { nativeHostName } from '@countersign/protocol/native-messages';
import type { HostManifestForm } from './host-manifest.ts';

export const hostManifestBrowsers = ['chrome', 'chromium', 'edge', 'firefox'] as const;
export type HostManifestBrowser = (typeof hostManifestBrowsers)[number];

/** Where a browser looks for host manifests: a folder, or on Windows a registry key whose default value is the path. */
export type HostManifestPlace =
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'registry_key'; readonly path: string };

export type HostManifestScope =
  | { readonly scope: 'system' }
  /** For one person; policy can make Chromium and its relatives look past it, Firefox always looks there first. */
  | { readonly scope: 'user'; readonly homeDirectory: string };

/** Which of the two forms of the manifest a browser reads. */
export const hostManifestFormOf = (browser: HostManifestBrowser): HostManifestForm =>
  browser === 'firefox' ? 'firefox' : 'chromium';

type Folders = Readonly<
  Record<HostManifestBrowser, { readonly system: string; readonly user: string }>
>;

const macosUser = 'Library/Application Support';

const macos: Folders = {
  chrome: {
    system: '/Library/Google/Chrome/NativeMessagingHosts',
    user: `${macosUser}/Google/Chrome/NativeMessagingHosts`,
  },
  chromium: {
    system: '/Library/Application Support/Chromium/NativeMessagingHosts',
    user: `${macosUser}/Chromium/NativeMessagingHosts`,
  },
  edge: {
    system: '/Library/Microsoft/Edge/NativeMessagingHosts',
    user: `${macosUser}/Microsoft Edge/NativeMessagingHosts`,
  },
  firefox: {
    system: '/Library/Application Support/Mozilla/NativeMessagingHosts',
    user: `${macosUser}/Mozilla/NativeMessagingHosts`,
  },
};

const linux: Folders = {
  chrome: {
    system: '/etc/opt/chrome/native-messaging-hosts',
    user: '.config/google-chrome/NativeMessagingHosts',
  },
  chromium: {
    system: '/etc/chromium/native-messaging-hosts',
    user: '.config/chromium/NativeMessagingHosts',
  },
  edge: {
    system: '/etc/opt/edge/native-messaging-hosts',
    user: '.config/microsoft-edge/NativeMessagingHosts',
  },
  firefox: {
    system: '/usr/lib/mozilla/native-messaging-hosts',
    user: '.mozilla/native-messaging-hosts',
  },
};

const windowsVendors: Readonly<Record<HostManifestBrowser, string>> = {
  chrome: 'Google\\Chrome',
  chromium: 'Chromium',
  edge: 'Microsoft\\Edge',
  firefox: 'Mozilla',
};

/**
 * Where to put the host manifest for a browser. Tried here: Chromium's and Firefox's system folders and Firefox's user
 * folder on Linux; the others are as their makers document them. Some distributions build Firefox to look into
 * `/usr/lib64/mozilla` instead.
 */
export function hostManifestPlace(
  browser: HostManifestBrowser,
  of: HostManifestScope,
  platform: NodeJS.Platform = process.platform,
): HostManifestPlace {
  if (platform === 'win32') {
    const root = of.scope === 'system' ? 'HKEY_LOCAL_MACHINE' : 'HKEY_CURRENT_USER';
    const vendor = windowsVendors[browser];
    const path = `${root}\\Software\\${vendor}\\NativeMessagingHosts\\${nativeHostName}`;
    return { kind: 'registry_key', path };
  }
  const folders = (platform === 'darwin' ? macos : linux)[browser];
  const path = of.scope === 'system' ? folders.system : posix.join(of.homeDirectory, folders.user);
  return { kind: 'folder', path };
}
