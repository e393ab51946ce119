import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const extension = fileURLToPath(new URL('../../../extension', import.meta.url));

/** The extension as it ships, unpacked. */
export const builtExtension = join(extension, '.output', 'chrome-mv3');

export async function buildExtension(): Promise<void> {
  const wxt = join(extension, 'node_modules', '.bin', 'wxt');
  await promisify(execFile)(wxt, ['build'], { cwd: extension, timeout: 120_000 });
}
