// What would go to Cloudflare: `wrangler deploy --dry-run` bundles the worker from wrangler.toml, whose bindings,
// migrations and secrets are those that the worker reads and the edge server makes. Nothing is sent anywhere.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));
const toml = readFileSync(join(root, 'wrangler.toml'), 'utf8');

let folder: string;
let output: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-wrangler-'));
  const { stdout, stderr } = await run(
    join(root, 'worker/node_modules/.bin/wrangler'),
    ['deploy', '--dry-run', '--config', join(root, 'wrangler.toml'), '--outdir', folder],
    {
      cwd: folder,
      env: { ...process.env, HOME: folder, WRANGLER_SEND_METRICS: 'false', CI: '1', NO_COLOR: '1' },
      timeout: 100_000,
    },
  );
  output = stdout + stderr;
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('bundles, within the size that is aimed at', () => {
  const bundle = readFileSync(join(folder, 'index.js'));
  expect(bundle.length).toBeGreaterThan(50_000);
  expect(gzipSync(bundle).length).toBeLessThan(220_000);
});

it.each([
  ['DEVICE', 'DeviceObject'],
  ['ORGANIZATION', 'OrganizationObject'],
  ['KEY', 'KeyObject'],
  ['REPORT', 'ReportObject'],
  ['INTEGRATION', 'IntegrationObject'],
  ['REVOCATION', 'RevocationObject'],
])('binds %s to the exported class %s and creates it with SQLite', (binding, className) => {
  expect(output).toContain(`env.${binding} (${className})`);
  const bundle = readFileSync(join(folder, 'index.js'), 'utf8');
  const [exported] = [...bundle.matchAll(/export ?\{[^}]*\}/g)].at(-1) ?? [];
  expect(exported).toMatch(new RegExp(`\\b${className}\\b`));
  const created = [...toml.matchAll(/new_sqlite_classes = \[(.*)\]/g)].map(([, names]) => names);
  expect(created.filter((names) => names?.includes(`"${className}"`))).toHaveLength(1);
});

/** What would be set, by name; the folder of the keys is made by the first call. */
async function printSecrets(...command: string[]): Promise<Map<string, unknown>> {
  const { stdout } = await run(
    process.execPath,
    [
      join(root, 'packages/edge-server/src/main.ts'),
      ...command,
      ...['--data', join(folder, 'data'), '--broker-url', 'https://broker.example.com'],
      '--print-cloudflare-secrets',
    ],
    { timeout: 20_000 },
  );
  const made: unknown = JSON.parse(stdout);
  return new Map(Object.entries(made ?? {}));
}

/** For SCEP alone: a broker without them does everything else. */
const optional = ['SCEP_RA_CERTIFICATE', 'SCEP_RA_KEY'];

it('asks for exactly the secrets and settings that the edge server makes', async () => {
  const made = await printSecrets();
  const [required = ''] = /required = \[([^\]]*)\]/.exec(toml)?.slice(1) ?? [];
  const named = [...required.matchAll(/"([A-Z_0-9]+)"/g)].map(([, name]) => name);
  const vars = ['BROKER_URL', 'SHARD_COUNT'];
  const secrets = [...made.keys()].filter((name) => !vars.includes(name));
  expect(secrets.sort()).toEqual([...named, ...optional].sort());
  for (const name of vars) expect(toml).toContain(`${name} = "`);
});

it('makes no secret that is too large for Cloudflare, also while all keys are rotated', async () => {
  const made = await printSecrets();
  const published = await printSecrets('rotate-keys', '--now');
  expect([...published.keys()].sort()).toEqual(['KEY_SET', 'PUBLIC_KEYS', 'RESPONSE_KEY_OTHER']);
  const sizes = [...made, ...published].map(([name, value]) => ({
    name,
    bytes: typeof value === 'string' ? Buffer.byteLength(value) : Number.NaN,
  }));
  expect(sizes.filter(({ bytes }) => !(bytes > 0 && bytes <= 5 * 1024))).toEqual([]);
});
