import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startDevProcess } from './dev/dev-process.ts';
import { watchSources } from './dev/watch-sources.ts';

const tools = dirname(fileURLToPath(import.meta.url));

function temporaryFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'countersign-dev-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function until(condition: () => boolean, what: () => string): Promise<void> {
  for (let waited = 0; !condition(); waited += 10) {
    if (waited > 60_000) throw new Error(`it did not come to pass: ${what()}`);
    await sleep(10);
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function childrenOf(pid: number): number[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).split('\n');
  return lines
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter(([, parent]) => parent === pid)
    .map(([child = 0]) => child);
}

describe('watchSources', () => {
  it('reports a burst of changes once, code alone, and not while the last one is handled', async () => {
    const root = temporaryFolder();
    for (const folder of ['worker/src/http', 'packages/protocol/src', 'packages/empty']) {
      mkdirSync(join(root, folder), { recursive: true });
    }
    const calls: string[][] = [];
    let handling = 0;
    const stop = watchSources(root, async (files) => {
      handling += 1;
      expect(handling).toBe(1);
      calls.push(files.toSorted());
      await sleep(150);
      handling -= 1;
    });
    onTestFinished(stop);
    const write = (path: string) => writeFileSync(join(root, path), String(Math.random()));
    write('worker/src/http/app.ts');
    write('worker/src/http/app.test.ts');
    write('worker/src/http/notes.md');
    write('packages/protocol/src/limits.ts');
    write('worker/src/http/app.ts');
    await until(
      () => calls.length === 1,
      () => JSON.stringify(calls),
    );
    await sleep(80);
    write('worker/src/index.ts');
    await until(
      () => calls.length === 2,
      () => JSON.stringify(calls),
    );
    expect(calls).toEqual([
      ['packages/protocol/src/limits.ts', 'worker/src/http/app.ts'],
      ['worker/src/index.ts'],
    ]);
    await sleep(200);
  });
});

describe('startDevProcess', () => {
  it('passes lines on and ends the program with everything that it started', async () => {
    const lines: string[] = [];
    const started = startDevProcess({
      command: '/bin/sh',
      // The one in the background heeds no SIGTERM.
      args: ['-c', `(trap '' TERM; echo "child $$"; while :; do sleep 1; done) & wait`],
      cwd: '/',
      env: { PATH: process.env.PATH },
      onLine: (line) => lines.push(line),
    });
    await until(
      () => lines.length === 1,
      () => lines.join(),
    );
    const pid = Number(lines[0]?.split(' ')[1]);
    expect(isAlive(pid)).toBe(true);
    await started.stop();
    await started.ended;
    await until(
      () => !isAlive(pid),
      () => 'the child to be gone',
    );
  });

  it('says why a program does not start', async () => {
    const lines: string[] = [];
    const started = startDevProcess({
      command: '/nowhere/program',
      args: [],
      cwd: '/',
      env: {},
      onLine: (line) => lines.push(line),
    });
    expect(await started.ended).toBeUndefined();
    expect(lines.join()).toContain('ENOENT');
  });
});

describe('pnpm dev', () => {
  async function freePorts(count: number): Promise<string[]> {
    const ports = new Set<number>();
    while (ports.size < count) {
      const port = 20_000 + Math.floor(Math.random() * 12_000);
      const server = createServer();
      const free = await new Promise((resolve) => {
        server.once('error', () => resolve(false));
        server.listen(port, '127.0.0.1', () => resolve(true));
      });
      server.close();
      if (free === true) ports.add(port);
    }
    return [...ports].map(String);
  }

  async function startDev() {
    const [http = '', tls = '', sample = '', extension = ''] = await freePorts(4);
    const ports = ['--http-port', http, '--tls-port', tls, '--sample-port', sample];
    ports.push('--extension-port', extension);
    const child = spawn(
      process.execPath,
      [join(tools, 'dev.ts'), '--data', join(temporaryFolder(), 'data'), ...ports],
      // Not this process's environment: wxt is silent where it finds a test runner.
      { env: { PATH: process.env.PATH, HOME: '/nowhere' }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    onTestFinished(() => void child.kill('SIGKILL'));
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    return { child, http, sample, extension, output: () => output };
  }

  const everythingRuns = [
    /^broker +\S+ the broker serves/m,
    /^dev +demo device DEMO-/m,
    /^sample +The sample site is at/m,
    /^extension .*Built extension/m,
  ];

  it.each(['SIGINT', 'SIGKILL'] as const)(
    'runs everything until %s',
    async (signal) => {
      const { child, http, sample, extension, output } = await startDev();
      const isReady = () => everythingRuns.every((line) => line.test(output()));
      await until(() => child.exitCode !== null || isReady(), output);
      expect((await fetch(`http://127.0.0.1:${http}/healthz`)).status).toBe(200);
      expect((await fetch(`http://127.0.0.1:${sample}/`)).status).toBe(200);
      expect(output()).toContain(`Started dev server @ http://localhost:${extension}`);
      const children = childrenOf(child.pid ?? 0);
      expect(children.length).toBeGreaterThanOrEqual(3);
      child.kill(signal);
      expect(await once(child, 'exit')).toEqual(signal === 'SIGINT' ? [0, null] : [null, signal]);
      await until(
        () => !children.some(isAlive),
        () => `${children.filter(isAlive)} to be gone`,
      );
      await expect(fetch(`http://127.0.0.1:${http}/healthz`)).rejects.toThrow();
      await expect(fetch(`http://127.0.0.1:${sample}/`)).rejects.toThrow();
    },
    120_000,
  );
});
