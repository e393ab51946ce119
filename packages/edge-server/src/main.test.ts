import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { isProcessAlive } from './process-identity.ts';
import { startTestServer, testOptions } from './testing/start-test-server.ts';
import { temporaryDirectory } from './testing/temporary-directory.ts';

const program = fileURLToPath(new URL('./main.ts', import.meta.url));

type Options = Awaited<ReturnType<typeof testOptions>>;

function run(options: Options, ...more: string[]) {
  const args = [
    ...['--data', options.dataDirectory, '--worker', options.workerBundle],
    ...['--http-port', String(options.httpPort), '--tls-port', String(options.tlsPort), ...more],
  ];
  const child = spawn(process.execPath, [program, ...args], {
    cwd: '/',
    env: {},
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return { child, output: () => output };
}

async function started({ child, output }: { child: ChildProcess; output: () => string }) {
  while (!output().includes('"event":"started"')) {
    if (child.exitCode !== null) throw new Error(output());
    await sleep(10);
  }
}

const recordOf = (options: Options) =>
  JSON.parse(readFileSync(join(options.dataDirectory, 'server.json'), 'utf8'));
const workerdOf = (options: Options): number => recordOf(options).workerd.pid;

async function gone(pid: number): Promise<void> {
  for (let waited = 0; isProcessAlive(pid); waited += 10) {
    if (waited > 10_000) throw new Error(`process ${pid} is still there`);
    await sleep(10);
  }
}

it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
  'ends itself and workerd on %s without waiting for anybody, with exit code 0',
  async (signal) => {
    const options = await testOptions(temporaryDirectory());
    const server = run(options);
    await started(server);
    const workerd = workerdOf(options);
    // Half a request, which would be waited for longer than the limit below.
    const dawdler = connect(options.httpPort, '127.0.0.1');
    onTestFinished(() => void dawdler.destroy());
    dawdler.on('error', () => undefined).write('GET / HTTP/1.1\r\n');
    await once(dawdler, 'connect');
    const startedAt = performance.now();
    server.child.kill(signal);
    const [code] = await once(server.child, 'exit');
    expect(code).toBe(0);
    expect(performance.now() - startedAt).toBeLessThan(8_000);
    expect(isProcessAlive(workerd)).toBe(false);
  },
);

it('takes workerd with it when it is killed itself, and starts again on the same data', async () => {
  const options = await testOptions(temporaryDirectory());
  const server = run(options);
  await started(server);
  const { workerd, socket_directory: socketDirectory } = recordOf(options);
  expect(existsSync(socketDirectory)).toBe(true);
  server.child.kill('SIGKILL');
  await once(server.child, 'exit');
  await gone(workerd.pid);
  for (let waited = 0; existsSync(socketDirectory) && waited < 9_000; waited += 10) await sleep(10);
  expect(existsSync(socketDirectory)).toBe(false);
  const again = await startTestServer(options);
  expect((await fetch(again.httpUrl)).status).toBe(200);
});

it('can start again at once after kill -9, while the old workerd may still be there', async () => {
  const options = await testOptions(temporaryDirectory());
  for (let round = 1; round <= 4; round++) {
    const server = run(options);
    await started(server);
    const count = await fetch(`http://127.0.0.1:${options.httpPort}/count`, { method: 'POST' });
    expect(await count.json()).toEqual({ visits: round });
    server.child.kill('SIGKILL');
    await once(server.child, 'exit');
  }
});

it('explains in one line why it does not start', async () => {
  const options = await testOptions(temporaryDirectory());
  await startTestServer(options);
  const second = run(options);
  const [code] = await once(second.child, 'exit');
  expect(code).toBe(1);
  expect(second.output()).toMatch(
    /^countersign-server: data_directory_in_use: The data folder \S+ is in use by another edge server \(process \d+ here\)\..*\n$/,
  );
  const wrong = run(options, '--shard', '3');
  expect(await once(wrong.child, 'exit')).toEqual([2, null]);
  expect(wrong.output()).toMatch(/Unknown option '--shard'.*\n\nUsage: /s);
});
