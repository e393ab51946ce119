import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nativeHostName } from '@countersign/protocol/native-messages';
import type { ExtensionPackage } from './crx3-package.ts';

/**
 * Enterprise policy of Chromium and its native messaging hosts, as an administrator sets them. Both folders are
 * compiled into the browser and hold for the whole machine: one test at a time, and only as root.
 */
const policyFile = '/etc/chromium/policies/managed/countersign-e2e.json';
const hostManifestFolder = '/etc/chromium/native-messaging-hosts';
export const hostManifestFile = join(hostManifestFolder, `${nativeHostName}.json`);

export type BrowserPolicy = {
  readonly extension: ExtensionPackage;
  /** Where the package and its update description lie. */
  readonly extensionFolder: string;
  /** What the extension's managed storage holds; nothing at all when left out. */
  readonly managedStorage?: Record<string, unknown>;
  readonly authorityCertificateDer: Uint8Array;
  /** 1 lets tests look into the extension's pages; 0 is the default of managed browsers and forbids it. */
  readonly developerTools: 0 | 1;
  readonly hostAllowed: boolean;
};

export function writeBrowserPolicy(policy: BrowserPolicy): void {
  const { extension, extensionFolder } = policy;
  const packageFile = join(extensionFolder, 'countersign.crx');
  const updateFile = join(extensionFolder, 'update.xml');
  mkdirSync(extensionFolder, { recursive: true });
  writeFileSync(packageFile, extension.bytes);
  writeFileSync(
    updateFile,
    `<gupdate xmlns='http://www.google.com/update2/response' protocol='2.0'><app appid='${extension.id}'><updatecheck codebase='file://${packageFile}' version='${extension.version}'/></app></gupdate>`,
  );
  const settings = {
    ExtensionSettings: {
      '*': { installation_mode: 'blocked' },
      [extension.id]: {
        installation_mode: 'force_installed',
        update_url: `file://${updateFile}`,
        override_update_url: true,
        toolbar_pin: 'force_pinned',
      },
    },
    '3rdparty':
      policy.managedStorage === undefined
        ? {}
        : { extensions: { [extension.id]: policy.managedStorage } },
    NativeMessagingBlocklist: ['*'],
    NativeMessagingAllowlist: policy.hostAllowed ? [nativeHostName] : [],
    NativeMessagingUserLevelHosts: false,
    DeveloperToolsAvailability: policy.developerTools,
    CACertificates: [Buffer.from(policy.authorityCertificateDer).toString('base64')],
    ...quietBrowser,
  };
  mkdirSync(join(policyFile, '..'), { recursive: true });
  writeFileSync(policyFile, JSON.stringify(settings, null, 2));
}

/** Keeps the browser from asking the network for things of its own. */
const quietBrowser = {
  BrowserSignin: 0,
  SyncDisabled: true,
  MetricsReportingEnabled: false,
  ComponentUpdatesEnabled: false,
  SafeBrowsingProtectionLevel: 0,
  PasswordManagerEnabled: false,
  SearchSuggestEnabled: false,
  TranslateEnabled: false,
  NetworkPredictionOptions: 2,
  DnsOverHttpsMode: 'off',
};

/** Tells the browser where the host program is; `allowedExtension` is the only one that may start it. */
export function writeHostManifestFor(allowedExtension: string, program: string): void {
  mkdirSync(hostManifestFolder, { recursive: true });
  const manifest = {
    name: nativeHostName,
    description: 'Countersign',
    path: program,
    type: 'stdio',
    allowed_origins: [`chrome-extension://${allowedExtension}/`],
  };
  writeFileSync(hostManifestFile, JSON.stringify(manifest));
}

export function removeHostManifest(): void {
  rmSync(hostManifestFile, { force: true });
}

/** Leaves the machine's browser as it was. */
export function removeBrowserPolicy(): void {
  rmSync(policyFile, { force: true });
  removeHostManifest();
}
