import { nativeHostName } from '@countersign/protocol/native-messages';

/** What a company sets in its browsers, as the extension's README shows it; tests add what only tests need. */
export type CompanyPolicy = {
  readonly extensionId: string;
  /** Chromium: of the update description. Firefox: of the package itself. */
  readonly installUrl: string;
  /** What the extension's managed storage holds; nothing at all when undefined. */
  readonly managedStorage: Record<string, unknown> | undefined;
};

export function chromiumCompanyPolicy(policy: CompanyPolicy): Record<string, unknown> {
  const { extensionId, installUrl, managedStorage } = policy;
  return {
    ExtensionSettings: {
      [extensionId]: {
        installation_mode: 'force_installed',
        update_url: installUrl,
        override_update_url: true,
        toolbar_pin: 'force_pinned',
      },
    },
    '3rdparty':
      managedStorage === undefined ? {} : { extensions: { [extensionId]: managedStorage } },
    NativeMessagingBlocklist: ['*'],
    NativeMessagingAllowlist: [nativeHostName],
    NativeMessagingUserLevelHosts: false,
  };
}

export function firefoxCompanyPolicy(policy: CompanyPolicy): Record<string, unknown> {
  const { extensionId, installUrl, managedStorage } = policy;
  return {
    ExtensionSettings: {
      [extensionId]: {
        installation_mode: 'force_installed',
        install_url: installUrl,
        private_browsing: true,
      },
    },
    '3rdparty':
      managedStorage === undefined ? {} : { Extensions: { [extensionId]: managedStorage } },
  };
}
