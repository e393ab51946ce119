// Bundles the programs that run outside of this repository's Node: `node tools/build.mjs [name …]`.
// Each bundle is made again only when one of the files that went into it, or how it is made, has changed.
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const cacheFile = join(root, 'dist', '.build-cache.json');

/** @typedef {import('esbuild').BuildOptions} BuildOptions */
/** @typedef {'worker' | 'native-host' | 'attest'} BundleName */

/**
 * @typedef {object} Bundle
 * @property {string} entry
 * @property {string} output
 * @property {boolean} [executable]
 * @property {BuildOptions} options
 */

/** @type {Record<BundleName, Bundle>} */
const bundles = {
  worker: {
    entry: 'worker/src/index.ts',
    output: 'dist/worker/index.js',
    options: {
      platform: 'neutral',
      target: 'es2024',
      mainFields: ['browser', 'module', 'main'],
      conditions: ['workerd', 'worker', 'browser'],
      external: ['cloudflare:*', 'node:*'],
      minify: true,
      // Functions keep their names, so that a stack trace in a log can be read without the source map.
      keepNames: true,
    },
  },
  'native-host': {
    entry: 'packages/native-host/src/main.ts',
    output: 'dist/native-host/countersign.mjs',
    executable: true,
    options: {
      platform: 'node',
      target: 'node22',
      // Less text to parse is a faster start, and the host starts for every sign-in.
      minify: true,
    },
  },
  attest: {
    entry: 'packages/sso-sdk/src/page.ts',
    output: 'dist/sso-sdk/attest.js',
    options: { platform: 'browser', target: 'es2022', minify: true },
  },
};

/**
 * @typedef {object} BuiltFile
 * @property {string} sha256
 * @property {number} bytes
 * @property {number} gzipBytes
 */

/**
 * @typedef {object} CachedBundle
 * @property {string} made a hash over how it was made
 * @property {Record<string, string>} inputs SHA-256 by path
 * @property {Record<string, BuiltFile>} outputs by path
 */

/**
 * @typedef {object} BuildResult
 * @property {BundleName} name
 * @property {string} path absolute
 * @property {number} bytes
 * @property {number} gzipBytes
 * @property {boolean} unchanged nothing had to be built
 */

/** @param {string | Uint8Array} content */
const sha256 = (content) => createHash('sha256').update(content).digest('hex');

/** @param {string} path relative to the root */
function hashOf(path) {
  try {
    return sha256(readFileSync(join(root, path)));
  } catch {
    return undefined;
  }
}

/** Whole or not at all: another process may be reading. @param {string} path @param {string | Uint8Array} content */
function replaceFile(path, content) {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.new`;
  writeFileSync(temporary, content);
  renameSync(temporary, path);
}

/** @returns {Record<string, CachedBundle>} */
function readCache() {
  try {
    return JSON.parse(readFileSync(cacheFile, 'utf8'));
  } catch {
    // The first build, or a broken cache: everything is built.
    return {};
  }
}

/** Options, this file, and the versions of everything installed. @param {Bundle} bundle */
function howMade(bundle) {
  const [self, lock] = [hashOf('tools/build.mjs'), hashOf('pnpm-lock.yaml')];
  return sha256(JSON.stringify([bundle, self, lock]));
}

/** @param {CachedBundle | undefined} cached @param {Bundle} bundle */
function isUnchanged(cached, bundle) {
  if (cached === undefined || cached.made !== howMade(bundle)) return false;
  return (
    Object.entries(cached.inputs).every(([path, hash]) => hashOf(path) === hash) &&
    Object.entries(cached.outputs).every(([path, { sha256: hash }]) => hashOf(path) === hash)
  );
}

/** What esbuild is asked for, for one bundle. @param {Bundle} bundle @returns {BuildOptions} */
function esbuildOptions(bundle) {
  return {
    absWorkingDir: root,
    entryPoints: [bundle.entry],
    outfile: bundle.output,
    bundle: true,
    format: 'esm',
    charset: 'utf8',
    sourcemap: 'linked',
    legalComments: 'linked',
    metafile: true,
    write: false,
    logLevel: 'silent',
    ...(bundle.executable ? { banner: { js: '#!/usr/bin/env node' } } : {}),
    ...bundle.options,
  };
}

/** @param {Bundle} bundle @returns {Promise<CachedBundle>} */
async function buildOne(bundle) {
  const { build: runEsbuild, formatMessages } = await import('esbuild');
  const made = howMade(bundle);
  const result = await runEsbuild(esbuildOptions(bundle)).catch(async (error) => {
    const messages = await formatMessages(error.errors ?? [], { kind: 'error' });
    throw new Error(`${bundle.output} cannot be built:\n${messages.join('\n') || error.message}`);
  });
  /** @type {Record<string, BuiltFile>} */
  const outputs = {};
  // The bundle itself goes last: when it is there, what it refers to is there too.
  for (const { path, contents } of (result.outputFiles ?? []).toReversed()) {
    replaceFile(path, contents);
    outputs[relative(root, path)] = {
      sha256: sha256(contents),
      bytes: contents.length,
      gzipBytes: path.endsWith('.map') ? 0 : gzipSync(contents).length,
    };
  }
  if (bundle.executable) chmodSync(join(root, bundle.output), 0o755);
  /** @type {Record<string, string>} */
  const inputs = {};
  for (const path of Object.keys(result.metafile?.inputs ?? {})) inputs[path] = hashOf(path) ?? '';
  return { made, inputs, outputs };
}

/**
 * Builds what has changed.
 *
 * @param {readonly BundleName[]} [names] all of them when left out
 * @returns {Promise<BuildResult[]>}
 */
export async function build(names = bundleNames) {
  const cache = readCache();
  /** @type {Record<string, CachedBundle>} */
  const rebuilt = {};
  const results = await Promise.all(
    names.map(async (name) => {
      const bundle = bundles[name];
      const cached = cache[name];
      const unchanged = cached !== undefined && isUnchanged(cached, bundle);
      const entry = unchanged ? cached : await buildOne(bundle);
      if (!unchanged) rebuilt[name] = entry;
      const { bytes = 0, gzipBytes = 0 } = entry.outputs[bundle.output] ?? {};
      return { name, path: join(root, bundle.output), bytes, gzipBytes, unchanged };
    }),
  );
  if (Object.keys(rebuilt).length > 0) {
    replaceFile(cacheFile, JSON.stringify({ ...readCache(), ...rebuilt }));
  }
  return results;
}

/** @type {BundleName[]} */
export const bundleNames = ['worker', 'native-host', 'attest'];

/** Folders whose change can change a bundle. */
export const sourceFolders = ['worker/src', 'packages'].map((path) => join(root, path));

/** @param {BuildResult} result */
export function describeBuild({ path, bytes, gzipBytes, unchanged }) {
  const kilobytes = (/** @type {number} */ count) => `${(count / 1000).toFixed(1)} KB`.padStart(9);
  const file = relative(root, path).padEnd(34);
  return `${file} ${kilobytes(bytes)} ${kilobytes(gzipBytes)} gzip${unchanged ? '  unchanged' : ''}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const asked = process.argv.slice(2);
  const names = bundleNames.filter((name) => asked.length === 0 || asked.includes(name));
  const unknown = asked.filter((name) => !names.some((known) => known === name));
  try {
    if (unknown.length > 0) {
      throw new Error(
        `no bundle is called ${unknown.join(', ')}; there are ${bundleNames.join(', ')}`,
      );
    }
    for (const result of await build(names)) process.stdout.write(`${describeBuild(result)}\n`);
  } catch (error) {
    process.stderr.write(`build: ${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 1;
  }
}
