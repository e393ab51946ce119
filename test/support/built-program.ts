import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const repository = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const outputs = {
  worker: 'dist/worker/index.js',
  'native-host': 'dist/native-host/countersign.cjs',
} as const;

const builds = new Map<string, Promise<string>>();

/** Builds one of the bundles, unless it is up to date, and gives its absolute path. */
export function builtProgram(name: keyof typeof outputs): Promise<string> {
  const build =
    builds.get(name) ??
    promisify(execFile)(process.execPath, [join(repository, 'tools/build.mjs'), name]).then(() =>
      join(repository, outputs[name]),
    );
  builds.set(name, build);
  return build;
}
