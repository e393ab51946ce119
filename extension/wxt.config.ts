import { defineConfig } from 'wxt';
import { developmentPublicKey } from './development-key.ts';

/**
 * `COUNTERSIGN_EXTENSION_KEY` (base64 of the public key, DER) fixes the extension's id; empty leaves the key out, as
 * stores ask.
 */
const publicKey = process.env.COUNTERSIGN_EXTENSION_KEY ?? developmentPublicKey;

export default defineConfig({
  srcDir: 'src',
  publicDir: 'public',
  imports: false,
  webExt: { disabled: true },
  zip: { artifactTemplate: 'countersign-{{browser}}.zip' },
  manifest: {
    name: 'Countersign',
    description: 'Shows your company at sign-in that this computer is one of its own.',
    minimum_chrome_version: '120',
    ...(publicKey === '' ? {} : { key: publicKey }),
    permissions: ['storage', 'nativeMessaging', 'scripting'],
    // Without these a content script that is registered at run time is silently never injected.
    host_permissions: ['https://*/*', 'http://localhost/*', 'http://127.0.0.1/*'],
    storage: { managed_schema: 'managed-schema.json' },
    action: { default_title: 'Countersign' },
  },
});
