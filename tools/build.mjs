// Bundles the programs that run outside of this repository's Node: `node tools/build.mjs [name …]`.
// Each bundle is made again only when one of the files that went into it, or how it is made, has changed.
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { compileProgram, programBanner, programFooter } from './compile-program.mjs';
import { koffiFiles } from './native-packages.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const cacheFile = join(root, 'dist', '.build-cache.json');

/** @typedef {import('esbuild').BuildOptions} BuildOptions */
/** @typedef {'worker' | 'native-host' | 'attest'} BundleName */

/**
 * @typedef {object} Bundle
 * @property {string} entry
 * @property {string} output
 * @property {Starter} [starter] what runs the output, which it finds compiled beside it
 * @property {BuildOptions} options
 */

/**
 * @typedef {object} Starter
 * @property {string} entry
 * @property {string} output made executable
 * @property {string} compiled the compiled form of the bundle
 * @property {string} package the folder of the package that finds koffi, which is put beside the output
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
      // As in wrangler.toml. The names in stack traces are in the source map; `keepNames` would name every closure anew
      // whenever it is made.
      minify: true,
    },
  },
  'native-host': {
    entry: 'packages/native-host/src/main.ts',
    output: 'dist/native-host/countersign-program.js',
    starter: {
      entry: 'packages/native-host/src/start.ts',
      output: 'dist/native-host/countersign.cjs',
      compiled: 'dist/native-host/countersign-program.compiled',
      package: 'packages/native-host',
    },
    // The host starts for every sign-in. Less text is a faster start; CommonJS loads each module when it is used.
    options: {
      platform: 'node',
      target: 'node22',
      format: 'cjs',
      charset: 'ascii',
      supported: { 'dynamic-import': false },
      external: ['koffi'],
      banner: { js: programBanner },
      footer: { js: programFooter },
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
 * @property {string} path absolute; of what is started or loaded
 * @property {string} output absolute; of the bundle itself
 * @property {number} bytes of the bundle
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
  const files = [
    'tools/build.mjs',
    'tools/compile-program.mjs',
    'tools/native-packages.mjs',
    'pnpm-lock.yaml',
  ].map(hashOf);
  return sha256(JSON.stringify([bundle, files, process.version]));
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
    ...bundle.options,
  };
}

/** The program that is started, which is too small for a source map. @param {Starter} starter @returns {BuildOptions} */
const starterOptions = ({ entry, output }) => ({
  absWorkingDir: root,
  entryPoints: [entry],
  outfile: output,
  bundle: true,
  format: 'cjs',
  platform: 'node',
  target: 'node22',
  minify: true,
  banner: { js: '#!/usr/bin/env node' },
  metafile: true,
  write: false,
  logLevel: 'silent',
});

/** @param {BuildOptions} options */
async function runEsbuild(options) {
  const { build, formatMessages } = await import('esbuild');
  const result = await build(options).catch(async (error) => {
    const messages = await formatMessages(error.errors ?? [], { kind: 'error' });
    throw new Error(`${options.outfile} cannot be built:\n${messages.join('\n') || error.message}`);
  });
  return {
    files: (result.outputFiles ?? []).map(({ path, contents }) => ({
      path: relative(root, path),
      contents,
    })),
    inputs: Object.keys(result.metafile?.inputs ?? {}),
  };
}

/** The bundle last, and after it what starts it: when one is there, what it refers to is there too. @param {Bundle} bundle */
async function makeFiles(bundle) {
  const made = await runEsbuild(esbuildOptions(bundle));
  const program = made.files.find(({ path }) => path === bundle.output);
  if (program === undefined) throw new Error(`${bundle.output} was not built`);
  const beside = made.files.filter((file) => file !== program);
  if (bundle.starter === undefined) return { files: [...beside, program], inputs: made.inputs };
  const started = await runEsbuild(starterOptions(bundle.starter));
  const { tagged, compiled } = compileProgram(program.contents);
  const modules = join(dirname(bundle.starter.output), 'node_modules');
  const native = koffiFiles(join(root, bundle.starter.package));
  return {
    files: [
      ...native.map(({ path, contents }) => ({ path: join(modules, path), contents })),
      ...beside,
      { path: bundle.output, contents: tagged },
      { path: bundle.starter.compiled, contents: compiled },
      ...started.files,
    ],
    inputs: [...made.inputs, ...started.inputs],
  };
}

/** @param {Bundle} bundle @returns {Promise<CachedBundle>} */
async function buildOne(bundle) {
  const made = howMade(bundle);
  const { files, inputs: inputPaths } = await makeFiles(bundle);
  /** @type {Record<string, BuiltFile>} */
  const outputs = {};
  for (const { path, contents } of files) {
    replaceFile(join(root, path), contents);
    outputs[path] = {
      sha256: sha256(contents),
      bytes: contents.length,
      gzipBytes: path.endsWith('.map') ? 0 : gzipSync(contents).length,
    };
  }
  if (bundle.starter !== undefined) chmodSync(join(root, bundle.starter.output), 0o755);
  /** @type {Record<string, string>} */
  const inputs = {};
  for (const path of inputPaths) inputs[path] = hashOf(path) ?? '';
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
      const output = join(root, bundle.output);
      const path = bundle.starter === undefined ? output : join(root, bundle.starter.output);
      return { name, path, output, bytes, gzipBytes, unchanged };
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
export function describeBuild({ output, bytes, gzipBytes, unchanged }) {
  const kilobytes = (/** @type {number} */ count) => `${(count / 1000).toFixed(1)} KB`.padStart(9);
  const file = relative(root, output).padEnd(39);
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
