import { defineConfig } from 'wxt';
import { browserManifest, isChromium } from './browser-manifest.ts';

export default defineConfig({
  srcDir: 'src',
  publicDir: 'public',
  imports: false,
  webExt: { disabled: true },
  zip: { artifactTemplate: 'countersign-{{browser}}.zip', zipSources: false },
  manifestVersion: 3,
  manifest: ({ browser }) => ({
    name: 'Countersign',
    description: 'Shows your company at sign-in that this computer is one of its own.',
    permissions: ['storage', 'nativeMessaging', 'scripting'],
    // Without these a content script that is registered at run time is silently never injected.
    host_permissions: ['https://*/*', 'http://localhost/*', 'http://127.0.0.1/*'],
    action: { default_title: 'Countersign' },
    ...browserManifest(browser),
  }),
  hooks: {
    'build:publicAssets': ({ config }, files) => {
      if (isChromium(config.browser)) return;
      const schema = files.findIndex(({ relativeDest }) => relativeDest === 'managed-schema.json');
      files.splice(schema, schema === -1 ? 0 : 1);
    },
  },
});
