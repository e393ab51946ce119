import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const extension = fileURLToPath(new URL('../../../extension', import.meta.url));

/** Chrome's build is that of Chromium and Edge too. */
export type ExtensionTarget = 'chrome' | 'firefox' | 'safari';

/** The folder of the extension as it ships, unpacked. */
export const builtExtensionOf = (target: ExtensionTarget) =>
  join(extension, '.output', `${target}-mv3`);

/** As it ships to Chromium. */
export const builtExtension = builtExtensionOf('chrome');

export async function buildExtension(target: ExtensionTarget = 'chrome'): Promise<void> {
  const wxt = join(extension, 'node_modules', '.bin', 'wxt');
  const options = { cwd: extension, timeout: 120_000 };
  await promisify(execFile)(wxt, ['build', '--browser', target], options);
}
