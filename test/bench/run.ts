// `npm run bench`: measures and prints a table. Everything runs on loopback, for a bounded time, and stops by itself.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { missingPackages, notRunLine, provision } from '../../tools/provision.ts';
import { type Figure, formatFigures } from './figures.ts';
import { measureAuthzen } from './measure-authzen.ts';
import { measureCounts } from './measure-counts.ts';
import { measureDecisions } from './measure-decisions.ts';
import { measureDecisionsByRules } from './measure-decisions-by-rules.ts';
import { measureFootprint } from './measure-footprint.ts';
import { measureHostStart } from './measure-host.ts';
import { measureIssuance } from './measure-issuance.ts';
import { measureLatency } from './measure-latency.ts';
import { measureMtls } from './measure-mtls.ts';
import { measurePage } from './measure-page.ts';
import { measurePolicy } from './measure-policy.ts';
import { measurePrice } from './measure-price.ts';
import { measureRenewals } from './measure-renewals.ts';
import { measureRevocation } from './measure-revocation.ts';
import { measureRevokedFleet } from './measure-revoked-fleet.ts';
import { measureSimulation } from './measure-simulation.ts';
import { measureSizes } from './measure-sizes.ts';

const run = promisify(execFile);
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** CPU microseconds of one P-256 verification by `openssl speed`. */
async function verifyMicroseconds(): Promise<number> {
  const { stdout } = await run('openssl', ['speed', '-seconds', '1', 'ecdsap256']);
  const perSecond = Number(/nistp256\).*\s([\d.]+)\s*$/m.exec(stdout)?.[1]);
  if (!(perSecond > 0)) throw new Error(`openssl speed said: ${stdout}`);
  return 1e6 / perSecond;
}

async function buildExtensionZip(): Promise<string> {
  await run('pnpm', ['--filter', '@countersign/extension', 'zip'], { cwd: root });
  const folder = join(root, 'extension', '.output');
  const zip = readdirSync(folder).find((name) => name.endsWith('-chrome.zip'));
  if (zip === undefined) throw new Error(`no package in ${folder}`);
  return join(folder, zip);
}

async function measureAll(directory: string): Promise<Figure[]> {
  const folder = (name: string) => {
    const path = join(directory, name);
    mkdirSync(path);
    return path;
  };
  const figures: Figure[] = [];
  /** Named on the command line; all of them otherwise. */
  const chosen = process.argv.slice(2);
  const measure = async (name: string, work: () => Promise<Figure[]> | Figure[]) => {
    if (chosen.length > 0 && !chosen.includes(name)) return;
    console.error(`measuring ${name} …`);
    figures.push(...(await work()));
  };
  await measure('decisions', () => measureDecisions(folder('decisions'), verifyMicroseconds));
  await measure('policy', measurePolicy);
  await measure('decisions by rules', () => measureDecisionsByRules(folder('by-rules')));
  await measure('authzen', () => measureAuthzen(folder('authzen')));
  await measure('simulation', () => measureSimulation(folder('simulation')));
  await measure('counts', () => measureCounts(folder('counts')));
  await measure('latency', () => measureLatency(folder('latency')));
  await measure('issuance', () => measureIssuance(folder('issuance')));
  await measure('renewals', () => measureRenewals(folder('renewals')));
  await measure('revocation', () => measureRevocation(folder('revocation')));
  await measure('revoked fleet', () => measureRevokedFleet(folder('revoked-fleet')));
  await measure('footprint', () => measureFootprint(folder('footprint')));
  await measure('client certificates', () => measureMtls(folder('mtls')));
  await measure('host start', () => measureHostStart(folder('host')));
  await measure('page', () => measurePage());
  await measure('price', () => measurePrice(folder('price')));
  await measure('sizes', async () => measureSizes(await buildExtensionZip()));
  return figures;
}

await provision(['bench', 'browser']);
const missing = missingPackages(['bench', 'browser']);
if (missing.length > 0) {
  console.error(notRunLine('bench', missing));
  process.exit(1);
}
await run(process.execPath, [join(root, 'tools', 'build.mjs')]);
const directory = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
try {
  const figures = await measureAll(directory);
  const [cpu] = cpus();
  console.log(
    `\n${cpu?.model ?? 'unknown CPU'}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}, ${new Date().toISOString().slice(0, 10)}\n`,
  );
  console.log(formatFigures(figures));
} finally {
  rmSync(directory, { recursive: true, force: true });
}
