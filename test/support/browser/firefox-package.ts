import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import * as z from 'zod/mini';
import { buildExtension, builtExtensionOf } from './build-extension.ts';
import { readFolder } from './crx3-package.ts';

/** What Firefox's policy needs to know of an extension that lies ready to be installed. */
export type PublishedFirefoxExtension = { readonly id: string; readonly installUrl: string };

const geckoManifest = z.looseObject({
  browser_specific_settings: z.object({ gecko: z.looseObject({ id: z.string() }) }),
});

/** Builds the extension for Firefox and lays its package, which is a plain ZIP, into `folder`. */
export async function publishFirefoxExtension(folder: string): Promise<PublishedFirefoxExtension> {
  await buildExtension('firefox');
  return packFirefoxExtension(folder);
}

/** Lays the package that was built last into `folder`, under another version if one is given. */
export function packFirefoxExtension(folder: string, version?: string): PublishedFirefoxExtension {
  const files = readFolder(builtExtensionOf('firefox'));
  const manifestText = Buffer.from(files['manifest.json'] ?? []).toString();
  const manifest = z.parse(geckoManifest, JSON.parse(manifestText));
  if (version !== undefined) {
    files['manifest.json'] = Buffer.from(JSON.stringify({ ...manifest, version }));
  }
  const packageFile = join(folder, 'countersign.xpi');
  mkdirSync(folder, { recursive: true });
  writeFileSync(packageFile, zipSync(files));
  return { id: manifest.browser_specific_settings.gecko.id, installUrl: `file://${packageFile}` };
}
