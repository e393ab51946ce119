import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { firefoxCompanyPolicy } from './company-policy.ts';
import type { PublishedFirefoxExtension } from './firefox-package.ts';

const systemInstallation = '/usr/lib/firefox-esr';
const program = 'firefox-esr';

/** Where Firefox looks for policy before it looks into its own folder. */
const systemPolicyFile = '/etc/firefox/policies/policies.json';

export type FirefoxPolicy = {
  readonly extension: PublishedFirefoxExtension;
  /** What the extension's managed storage holds; nothing at all when left out. */
  readonly managedStorage?: Record<string, unknown> | undefined;
  /** PEM file of a certificate authority that web servers may have. */
  readonly webAuthorityFile: string;
};

/**
 * Makes an installation of Firefox of its own below `folder`, links to the system's but for its policy: nothing of the
 * machine is changed. Firefox finds what belongs to it beside its program, so that alone is copied.
 *
 * @returns the program to start
 */
export function makeFirefoxInstallation(folder: string): string {
  if (existsSync(systemPolicyFile)) {
    throw new Error(`${systemPolicyFile} would hold in place of the policy of these tests`);
  }
  mkdirSync(join(folder, 'distribution'), { recursive: true });
  for (const name of readdirSync(systemInstallation)) {
    if (name === program || name === 'distribution') continue;
    symlinkSync(join(systemInstallation, name), join(folder, name));
  }
  copyFileSync(join(systemInstallation, program), join(folder, program));
  return join(folder, program);
}

/** What an administrator writes into `/etc/firefox/policies`, for one installation. Firefox reads it when it starts. */
export function writeFirefoxPolicy(folder: string, policy: FirefoxPolicy): void {
  const { extension, managedStorage } = policy;
  const { id: extensionId, installUrl } = extension;
  const company = firefoxCompanyPolicy({ extensionId, installUrl, managedStorage });
  const policies = {
    ...company,
    ExtensionSettings: {
      '*': { installation_mode: 'blocked' },
      ...Object(company.ExtensionSettings),
    },
    Certificates: { Install: [policy.webAuthorityFile] },
    // ESR lets policy allow packages without Mozilla's signature; other editions do not.
    Preferences: { 'xpinstall.signatures.required': { Value: false, Status: 'locked' } },
    DisableAppUpdate: true,
    DisableTelemetry: true,
    DisableFirefoxStudies: true,
    DontCheckDefaultBrowser: true,
    OverrideFirstRunPage: '',
  };
  writeFileSync(join(folder, 'distribution', 'policies.json'), JSON.stringify({ policies }));
}
