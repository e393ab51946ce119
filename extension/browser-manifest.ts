import type { UserManifest } from 'wxt';
import { developmentFirefoxId, developmentPublicKey } from './development-key.ts';

/** Chrome, Edge and their relatives take the same package. */
export const isChromium = (browser: string) => browser !== 'firefox' && browser !== 'safari';

/** `COUNTERSIGN_FIREFOX_ID` gives the extension another id in Firefox. */
const firefoxExtensionId = process.env.COUNTERSIGN_FIREFOX_ID || developmentFirefoxId;

/**
 * `COUNTERSIGN_EXTENSION_KEY` (base64 of the public key, DER) fixes the extension's id; empty leaves the key out, as
 * stores ask.
 */
const chromiumPublicKey = process.env.COUNTERSIGN_EXTENSION_KEY ?? developmentPublicKey;

/** What stands in the manifest for one browser alone: identity, oldest version, and the form of its policy. */
export function browserManifest(browser: string): UserManifest {
  if (browser === 'firefox') {
    return {
      browser_specific_settings: {
        gecko: {
          id: firefoxExtensionId,
          // The first one that knows, also on Android, what the extension says about data below.
          strict_min_version: '142.0',
          // Mozilla counts what goes to a program on the device: here the origin of a configured sign-in page, and
          // back the proof that this is a managed device.
          data_collection_permissions: { required: ['authenticationInfo', 'browsingActivity'] },
        },
      },
    };
  }
  if (browser === 'safari') {
    // The first one in which content scripts can be registered at run time.
    return { browser_specific_settings: { safari: { strict_min_version: '16.4' } } };
  }
  return {
    minimum_chrome_version: '120',
    ...(chromiumPublicKey === '' ? {} : { key: chromiumPublicKey }),
    storage: { managed_schema: 'managed-schema.json' },
  };
}
