// Does its own set-up, then runs a task of the root package.json: `node tools/run.mjs test` runs `app:test`.
// Needs only Node 20 and npm. Where the machine's Node is too old it fetches the pinned one from the npm
// registry, then the pinned pnpm, then installs the workspace. The second time all of it is in place.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runChild } from './child.mjs';
import { isAtLeast, provideToolchain, SetupError, withoutNpmVariables } from './toolchain.mjs';

const oldestNodeToStart = '20.0';
const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** @param {string} line */
const say = (line) => process.stderr.write(`countersign: ${line}\n`);

/** A hash over all that decides what an installation puts in place. */
function installationFingerprint() {
  const hash = createHash('sha256');
  const packages = readdirSync(join(root, 'packages')).sort();
  const folders = [
    '.',
    'extension',
    'worker',
    'test',
    ...packages.map((name) => `packages/${name}`),
  ];
  const manifests = folders.map((folder) => `${folder}/package.json`);
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml', ...manifests]) {
    const path = join(root, file);
    if (existsSync(path)) hash.update(`\n${file}\n`).update(readFileSync(path));
  }
  return hash.digest('hex');
}

/** @param {{ node: string, pnpm: string }} toolchain @param {Record<string, string | undefined>} env */
async function installWorkspace({ node, pnpm }, env) {
  const record = join(root, 'node_modules', '.countersign-installed');
  const fingerprint = installationFingerprint();
  if (existsSync(record) && readFileSync(record, 'utf8') === fingerprint) return;
  say('installing the workspace');
  const args = [pnpm, 'install', '--frozen-lockfile', '--reporter=append-only'];
  const { code, output } = await runChild(node, args, {
    cwd: root,
    env: { ...env, CI: 'true' },
    output: 'kept',
  });
  if (code !== 0) {
    throw new SetupError(`the workspace could not be installed (code ${code})\n${output.trim()}`);
  }
  writeFileSync(record, fingerprint);
}

/** @param {string | undefined} task */
function commandOf(task) {
  /** @type {{ scripts: Record<string, string> }} */
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const command = scripts[`app:${task}`];
  if (command !== undefined) return command.split(' ');
  const tasks = Object.keys(scripts).filter((name) => name.startsWith('app:'));
  throw new SetupError(
    `there is no task ${task ?? '(none given)'}; there are ${tasks.map((name) => name.slice(4)).join(', ')}`,
  );
}

/** @param {string[]} args the task and its arguments */
async function main([task, ...args]) {
  if (!isAtLeast(process.versions.node, oldestNodeToStart)) {
    throw new SetupError(
      `this needs Node ${oldestNodeToStart} or newer to start; the machine has ${process.versions.node}.`,
    );
  }
  const [program = '', ...fixed] = commandOf(task);
  const toolchain = await provideToolchain(say);
  const shared = join(root, 'node_modules', '.bin');
  const env = withoutNpmVariables(process.env);
  const pathName = Object.keys(env).find((name) => name.toUpperCase() === 'PATH') ?? 'PATH';
  env[pathName] = [toolchain.shims, shared, env[pathName]].join(delimiter);
  await installWorkspace(toolchain, env);
  const command = program === 'node' ? toolchain.node : join(shared, program);
  const { code } = await runChild(command, [...fixed, ...args], {
    cwd: root,
    env,
    output: 'shown',
  });
  return code;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  say(error.message);
  process.exitCode = 1;
}
