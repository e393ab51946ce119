// `npm test`: every check and every group of tests in order, with a summary. `npm test -- unit e2e` runs these
// alone; what follows the names goes to vitest: `npm test -- unit packages/x509`, `npm test -- e2e -t iframe`.
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runChild } from './child.mjs';
import {
  missingPackages,
  notRunLine,
  notRunWithoutRootLine,
  type PackageGroup,
  provision,
} from './provision.ts';
import { addOutcomes, nothingRun, type Outcome, oneFailure, readReport } from './test-report.ts';

type Step = {
  name: string;
  /** A command of node_modules/.bin, or the files of the vitest project with this step's name. */
  runs: { command: readonly [string, ...string[]] } | { tests: string };
  needs: readonly PackageGroup[];
  asRoot?: true;
};

const steps: readonly Step[] = [
  { name: 'lint', runs: { command: ['biome', 'check', '--error-on-warnings', '.'] }, needs: [] },
  { name: 'typecheck', runs: { command: ['tsc', '-b'] }, needs: [] },
  { name: 'architecture', runs: { tests: 'test/*.test.ts' }, needs: [] },
  {
    name: 'unit',
    runs: { tests: '{packages/*/src,worker/src,extension/src,tools}/**/*.test.ts' },
    needs: [],
  },
  { name: 'integration', runs: { tests: 'test/integration/**/*.test.ts' }, needs: [] },
  { name: 'conformance', runs: { tests: 'test/conformance/**/*.test.ts' }, needs: ['judges'] },
  { name: 'e2e', runs: { tests: 'test/e2e/**/*.test.ts' }, needs: ['browser'], asRoot: true },
  { name: 'faults', runs: { tests: 'test/faults/**/*.test.ts' }, needs: [] },
];

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const demanding = process.env.CI === 'true';

async function run(command: string, args: readonly string[]): Promise<number> {
  const { code } = await runChild(join(root, 'node_modules', '.bin', command), [...args], {
    cwd: root,
    env: process.env,
    output: 'shown',
    ownGroup: true,
  });
  return code;
}

async function runCommand([command, ...args]: readonly [string, ...string[]]): Promise<Outcome> {
  const code = await run(command, args);
  return code === 0
    ? { ...nothingRun, passed: 1 }
    : oneFailure(`${[command, ...args].join(' ')} (exit code ${code})`);
}

async function runProject(name: string, filters: readonly string[]): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-test-'));
  try {
    const path = join(folder, 'report.json');
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${path}`];
    const code = await run('vitest', ['run', '--project', name, ...reporters, ...filters]);
    const report: unknown = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
    return readReport(report, code, filters.length > 0);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The steps that the arguments name (all, if there are none) and what follows them, for vitest. */
function parseArguments(args: readonly string[]): { chosen: readonly Step[]; filters: string[] } {
  const names = steps.map(({ name }) => name);
  const end = args.findIndex((argument) => !names.includes(argument));
  const named = end === -1 ? args : args.slice(0, end);
  if (named.length === 0 && args.length > 0) {
    console.error(`name what to run first: ${names.join(', ')}`);
    process.exit(2);
  }
  return {
    chosen: named.length === 0 ? steps : steps.filter(({ name }) => named.includes(name)),
    filters: args.slice(named.length),
  };
}

const hasWork = ({ runs }: Step) =>
  'command' in runs ||
  globSync(runs.tests, { cwd: root }).some((path) => !path.includes('node_modules'));

/** Why the step cannot run on this machine, by this user. */
function obstacleOf({ name, needs, asRoot }: Step): string | undefined {
  const missing = missingPackages(needs);
  if (missing.length > 0) return notRunLine(name, missing);
  return asRoot && process.getuid?.() !== 0 ? notRunWithoutRootLine(name) : undefined;
}

/** More of them have one cause, as a rule, and their output is above. */
const mostShown = 50;

const seconds = (since: number) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

async function main(args: readonly string[]): Promise<number> {
  let interrupted = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      interrupted = true;
    });
  }
  const { chosen, filters } = parseArguments(args);
  const working = chosen.filter(hasWork);
  await provision(new Set(working.flatMap(({ needs }) => needs)));

  const summary: string[] = [];
  let total = nothingRun;
  for (const step of working) {
    const { name, runs } = step;
    console.log(`\n== ${name}`);
    const obstacle = obstacleOf(step);
    if (obstacle !== undefined) {
      summary.push(obstacle);
      if (demanding) total = addOutcomes(total, oneFailure(obstacle));
      continue;
    }
    const began = performance.now();
    const outcome =
      'command' in runs ? await runCommand(runs.command) : await runProject(name, filters);
    if (interrupted) return 130;
    total = addOutcomes(total, outcome);
    summary.push(`${name}: ${outcome.passed} passed, ${outcome.failed} failed (${seconds(began)})`);
  }

  if (total.failed > 0) {
    const { failures } = total;
    const more = failures.length > mostShown ? `\nand ${failures.length - mostShown} more` : '';
    console.log(`\n== failed\n${failures.slice(0, mostShown).join('\n')}${more}`);
  }
  console.log(`\n== summary\n${summary.join('\n')}\n`);
  console.log(`${total.passed} passed, ${total.failed} failed`);
  return total.failed === 0 && total.passed > 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
