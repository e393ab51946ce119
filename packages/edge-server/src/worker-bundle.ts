import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EdgeServerError } from './edge-server-error.ts';

const builtWorker = fileURLToPath(new URL('../../../dist/worker/index.js', import.meta.url));

/**
 * @param chosen the one that this repository builds when left out
 * @returns absolute
 * @throws EdgeServerError `worker_bundle_missing`
 */
export function findWorkerBundle(chosen: string | undefined): string {
  const path = resolve(chosen ?? builtWorker);
  if (existsSync(path)) return path;
  throw new EdgeServerError(
    'worker_bundle_missing',
    `There is no built worker at ${path}. Build it: node tools/build.mjs`,
  );
}
