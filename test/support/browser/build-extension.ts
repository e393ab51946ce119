import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const extension = fileURLToPath(new URL('../../../extension', import.meta.url));

/** Builds the extension as it ships and gives the folder of the unpacked result. */
export async function buildExtension(): Promise<string> {
  const wxt = join(extension, 'node_modules', '.bin', 'wxt');
  await promisify(execFile)(wxt, ['build'], { cwd: extension, timeout: 120_000 });
  return join(extension, '.output', 'chrome-mv3');
}
