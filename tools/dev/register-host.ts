// `node tools/dev/register-host.ts HOST_JSON [FOLDER]`: lets the unpacked extension start the native host from its
// sources, with this configuration. FOLDER is where the browser looks for host manifests; Chromium's by default.
import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeHostManifest, writeLauncher } from '@countersign/native-host';
import { developmentPublicKey } from '../../extension/development-key.ts';

/** Chromium's rule: SHA-256 of the extension's public key, its first 128 bits in the letters a to p. */
const developmentExtensionId = createHash('sha256')
  .update(Buffer.from(developmentPublicKey, 'base64'))
  .digest('hex')
  .slice(0, 32)
  .replace(/./g, (digit) => String.fromCharCode(97 + Number.parseInt(digit, 16)));

const chromiumFolder =
  process.platform === 'darwin'
    ? join(homedir(), 'Library/Application Support/Chromium/NativeMessagingHosts')
    : join(homedir(), '.config/chromium/NativeMessagingHosts');

const [configuration, folder = chromiumFolder] = process.argv.slice(2);
if (configuration === undefined) {
  process.stderr.write('usage: node tools/dev/register-host.ts HOST_JSON [FOLDER]\n');
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
  const extensionIds = [developmentExtensionId] as const;
  const manifest = writeHostManifest(resolve(folder), { launcherPath, extensionIds });
  process.stdout.write(`${manifest}\nstarts ${launcherPath}\n`);
}
