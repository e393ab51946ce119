import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { builtProgram } from '../built-program.ts';

/** A worker module around the built broker that can stop at named points; see `fault-worker.js`. */
export async function buildFaultWorker(): Promise<{
  readonly path: string;
  readonly remove: () => void;
}> {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-fault-worker-'));
  const path = join(directory, 'fault-worker.js');
  await build({
    entryPoints: [fileURLToPath(new URL('fault-worker.js', import.meta.url))],
    outfile: path,
    bundle: true,
    format: 'esm',
    external: ['cloudflare:*', 'node:*'],
    alias: { 'broker.js': await builtProgram('worker') },
    // The runtime's configuration names the objects by their classes.
    keepNames: true,
    logLevel: 'silent',
  });
  return { path, remove: () => rmSync(directory, { recursive: true }) };
}
