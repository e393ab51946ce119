import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { writeHostManifest } from '@countersign/native-host';
import { nativeHostName } from '@countersign/protocol/native-messages';
import { chromiumCompanyPolicy } from './company-policy.ts';
import type { PublishedExtension } from './crx3-package.ts';

/**
 * Enterprise policy of Chromium and its native messaging hosts, as an administrator sets them. Both folders are
 * compiled into the browser and hold for the whole machine: one test at a time, and only as root.
 */
const policyFile = '/etc/chromium/policies/managed/countersign-e2e.json';
const hostManifestFolder = '/etc/chromium/native-messaging-hosts';

export type BrowserPolicy = {
  readonly extension: PublishedExtension;
  /** What the extension's managed storage holds; nothing at all when left out. */
  readonly managedStorage?: Record<string, unknown> | undefined;
  /** Base64 of the DER of a certificate authority that web servers may have. */
  readonly webAuthority: string;
  /** 1 lets tests look into the extension's pages; 0 is the default of managed browsers and forbids it. */
  readonly developerTools: 0 | 1;
  readonly hostAllowed: boolean;
  /** An installed extension that is older is updated at once. */
  readonly minimumVersion?: string | undefined;
  /** Nothing is installed, and nothing may be. */
  readonly withoutExtension?: boolean;
  /** Installed as well, as if somebody had found a way. */
  readonly otherExtensions?: readonly PublishedExtension[] | undefined;
  /** Hosts in the user's own folder count too, which the company's policy forbids. */
  readonly userLevelHosts?: true | undefined;
  /** Origin at which the browser presents a certificate of the broker's issuer without asking anybody. */
  readonly selectCertificateAt?: string | undefined;
};

export function writeBrowserPolicy(policy: BrowserPolicy): void {
  const { extension } = policy;
  const company = chromiumCompanyPolicy({
    extensionId: extension.id,
    installUrl: extension.updateUrl,
    managedStorage: policy.managedStorage,
  });
  const installed = {
    [extension.id]: {
      ...Object(company.ExtensionSettings)[extension.id],
      ...(policy.minimumVersion && { minimum_version_required: policy.minimumVersion }),
    },
  };
  const settings = {
    ...company,
    ExtensionSettings: {
      '*': { installation_mode: 'blocked' },
      ...(policy.withoutExtension === true ? {} : installed),
      ...Object.fromEntries(
        (policy.otherExtensions ?? []).map(({ id, updateUrl }) => [
          id,
          {
            installation_mode: 'force_installed',
            update_url: updateUrl,
            override_update_url: true,
          },
        ]),
      ),
    },
    ...(policy.userLevelHosts === true && { NativeMessagingUserLevelHosts: true }),
    ...(policy.hostAllowed ? {} : { NativeMessagingAllowlist: [] }),
    DeveloperToolsAvailability: policy.developerTools,
    CACertificates: [policy.webAuthority],
    ...selectedCertificates(policy.selectCertificateAt),
    ...quietBrowser,
  };
  mkdirSync(dirname(policyFile), { recursive: true });
  writeFileSync(policyFile, JSON.stringify(settings, null, 2));
}

/** Without it a browser that holds a certificate shows a choice to the person, when it is asked for one. */
function selectedCertificates(origin: string | undefined) {
  if (origin === undefined) return {};
  const filter = { ISSUER: { CN: 'MTLS Certificate Authority' } };
  return { AutoSelectCertificateForUrls: [JSON.stringify({ pattern: origin, filter })] };
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

/** Tells the browser where the host program is; the extension is the only one that may start it. */
export function installHostManifest(launcherPath: string, extensionId: string): void {
  writeHostManifest(hostManifestFolder, { launcherPath, extensionIds: [extensionId] });
}

export function removeHostManifest(): void {
  rmSync(join(hostManifestFolder, `${nativeHostName}.json`), { force: true });
}

/** Leaves the machine's browser as it was. */
export function removeBrowserPolicy(): void {
  rmSync(policyFile, { force: true });
  removeHostManifest();
}
