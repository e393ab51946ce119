import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';

const tools = dirname(fileURLToPath(import.meta.url));
const startTimeoutMs = 40_000;

function temporaryFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'countersign-start-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Ports that were free a moment ago, below those that the system hands out itself. */
async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const server = createServer();
    const free = await new Promise((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    server.close();
    if (free === true && !ports.includes(port)) ports.push(port);
  }
  return ports;
}

type Ports = readonly [http: string, tls: string, sample: string];

async function chosenPorts(): Promise<Ports> {
  const [http = 0, tls = 0, sample = 0] = await freePorts(3);
  return [String(http), String(tls), String(sample)];
}

function start(folder: string, [http, tls, sample]: Ports) {
  const args = ['--http-port', http, '--tls-port', tls, '--sample-port', sample];
  const child = spawn(process.execPath, [join(tools, 'start.ts'), ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: '/nowhere' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const ended = once(child, 'exit').then(([code]) => code);
  return {
    output: () => output,
    ended,
    async ready() {
      for (let waited = 0; !output.includes('Ctrl-C'); waited += 20) {
        if (child.exitCode !== null || waited > startTimeoutMs) throw new Error(output);
        await sleep(20);
      }
    },
    async end(signal: NodeJS.Signals) {
      const startedAt = performance.now();
      child.kill(signal);
      return { code: await ended, milliseconds: performance.now() - startedAt };
    },
  };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

it('shows every step of a sign-in, ends on Ctrl-C, and shows another one the next time', async () => {
  const folder = temporaryFolder();
  const ports = await chosenPorts();
  const first = start(folder, ports);
  await first.ready();
  const siteUrl = `http://127.0.0.1:${ports[2]}`;
  const steps = [
    /application +sample: .*\(set up\)/,
    /device +DEMO-\w+, enrolled with a one-time token/,
    /challenge +[\w-]{22}, good for 60 seconds\n +signed by the broker with ES256/,
    /origin +http:\/\/127\.0\.0\.1:\d+, on the challenge's list/,
    /signature +ES256 .* verified by the broker/,
    /certificate +serial number [0-9a-f]{34}\n +fingerprint [\w-]{43} \(SHA-256\)\n +valid .* issued by MTLS Certificate Authority\n +on record, bound to ada by this sign-in/,
    /policy rule +trusted-devices/,
    /decision +allowed {2}trusted_device: This device is managed by your company\./,
    /Countersign is running/,
  ];
  let position = 0;
  for (const step of steps) {
    const rest = first.output().slice(position);
    expect(rest).toMatch(step);
    position += rest.search(step);
  }
  // Nobody watches in colour here.
  expect(first.output()).not.toContain('\u001b');
  expect((await fetch(`${siteUrl}/`)).status).toBe(200);
  const data = join(folder, '.countersign');
  const record = JSON.parse(readFileSync(join(data, 'server.json'), 'utf8'));
  // Half a request, which would be waited for longer than the limit below.
  const dawdler = connect(Number(ports[2]), '127.0.0.1');
  onTestFinished(() => void dawdler.destroy());
  dawdler.on('error', () => undefined).write('GET / HTTP/1.1\r\n');
  await once(dawdler, 'connect');
  const { code, milliseconds } = await first.end('SIGINT');
  expect(code).toBe(0);
  expect(milliseconds).toBeLessThan(10_000);
  expect(isAlive(record.workerd.pid)).toBe(false);
  await expect(fetch(`${siteUrl}/`)).rejects.toThrow();

  const secret = readFileSync(join(data, 'demo/client-secret'), 'utf8').trim();
  const ownerToken = readFileSync(join(data, 'owner-token'), 'utf8').trim();
  expect(statSync(join(data, 'demo/client-secret')).mode & 0o777).toBe(0o600);
  for (const word of [secret, ownerToken]) expect(first.output()).not.toContain(word);
  expect(readdirSync(folder).sort()).toEqual(['.countersign', '.countersign.high-water.json']);

  const second = start(folder, ports);
  await second.ready();
  expect(second.output()).toMatch(/application +sample: .*\(as before\)/);
  expect(second.output()).toMatch(/device +DEMO-\w+, enrolled before/);
  expect(second.output()).toMatch(/on record, bound to ada by an earlier sign-in/);
  expect(readFileSync(join(data, 'demo/client-secret'), 'utf8').trim()).toBe(secret);
  expect((await second.end('SIGTERM')).code).toBe(0);

  // Other ports: a broker of another name, with which the demo device enrols anew.
  const moved = start(folder, await chosenPorts());
  await moved.ready();
  expect(moved.output()).toMatch(/device +DEMO-\w+, enrolled with a one-time token/);
  expect(moved.output()).toMatch(/decision +allowed {2}trusted_device/);
  expect((await moved.end('SIGINT')).code).toBe(0);
}, 120_000);

it('ends at once when it is told to before it is ready', async () => {
  const folder = temporaryFolder();
  const starting = start(folder, await chosenPorts());
  while (!starting.output().includes('broker')) await sleep(5);
  const { code, milliseconds } = await starting.end('SIGINT');
  expect(code).toBe(0);
  expect(milliseconds).toBeLessThan(10_000);
}, 60_000);

it.each([
  [0, '--http-port'],
  [2, '--sample-port'],
] as const)(
  'names the busy port and the flag for another (%s)',
  async (which, flag) => {
    const ports = await chosenPorts();
    const other = createServer().listen(Number(ports[which]), '127.0.0.1');
    onTestFinished(() => void other.close());
    await once(other, 'listening');
    const refused = start(temporaryFolder(), ports);
    expect(await refused.ended).toBe(1);
    expect(refused.output()).toMatch(/failed +✗ .*port \d+ is in use by another program/);
    expect(refused.output()).toContain(flag);
  },
  60_000,
);

it('shows its usage for a wrong flag', async () => {
  const child = spawn(process.execPath, [join(tools, 'start.ts'), '--port', '1'], {
    stdio: 'pipe',
  });
  const chunks: Buffer[] = [];
  child.stderr.on('data', (chunk) => chunks.push(chunk));
  expect(await once(child, 'close')).toEqual([2, null]);
  expect(Buffer.concat(chunks).toString()).toMatch(/Unknown option '--port'.*Usage: npm start/s);
});
