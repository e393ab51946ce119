// `node tools/dev/register-host.ts HOST_JSON [BROWSER [FOLDER]]`: lets the unpacked extension start the native host
// from its sources, with this configuration. FOLDER stands in for where the browser looks for host manifests.
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type HostManifestBrowser,
  hostManifestBrowsers,
  hostManifestFormOf,
  hostManifestPlace,
  writeHostManifest,
  writeLauncher,
} from '@countersign/native-host';
import { developmentFirefoxId } from '../../extension/development-key.ts';
import { developmentExtensionId } from './development-extension-id.ts';

function folderOf(browser: HostManifestBrowser): string | undefined {
  const place = hostManifestPlace(browser, { scope: 'user', homeDirectory: homedir() });
  return place.kind === 'folder' ? place.path : undefined;
}

const [configuration, named = 'chromium', givenFolder] = process.argv.slice(2);
const browser = hostManifestBrowsers.find((known) => known === named);
const folder = givenFolder ?? (browser === undefined ? undefined : folderOf(browser));
if (configuration === undefined || browser === undefined || folder === undefined) {
  const browsers = hostManifestBrowsers.join('|');
  process.stderr.write(`usage: node tools/dev/register-host.ts HOST_JSON [${browsers} [FOLDER]]\n`);
  process.exitCode = 2;
} else {
  const configurationPath = resolve(configuration);
  const launcherPath = join(dirname(configurationPath), 'countersign-host');
  const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
  writeLauncher(launcherPath, {
    nodePath: process.execPath,
    programPath: join(root, 'packages/native-host/src/main.ts'),
    configurationPath,
  });
  const form = hostManifestFormOf(browser);
  const extensionIds = [
    form === 'firefox' ? developmentFirefoxId : developmentExtensionId,
  ] as const;
  const manifest = writeHostManifest(resolve(folder), { launcherPath, extensionIds, form });
  process.stdout.write(`${manifest}\nstarts ${launcherPath}\n`);
}
