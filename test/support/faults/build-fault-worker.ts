import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const fileAt = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** A worker module around the broker that can stop at named points; see `fault-worker.js`. */
export async function buildFaultWorker(): Promise<{
  readonly path: string;
  readonly remove: () => void;
}> {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-fault-worker-'));
  const path = join(directory, 'fault-worker.js');
  await build({
    entryPoints: [fileAt('fault-worker.js')],
    outfile: path,
    bundle: true,
    format: 'esm',
    platform: 'neutral',
    target: 'es2024',
    external: ['cloudflare:*', 'node:*'],
    // As the bundle that ships, but for the names that it has no room for.
    conditions: ['workerd', 'worker', 'browser'],
    mainFields: ['browser', 'module', 'main'],
    alias: {
      'broker.js': fileAt('../../../worker/src/index.ts'),
      'group-commit.js': fileAt('../../../worker/src/storage/group-commit.ts'),
    },
    // The runtime's configuration names the objects by their classes.
    keepNames: true,
    logLevel: 'silent',
  });
  return { path, remove: () => rmSync(directory, { recursive: true }) };
}
