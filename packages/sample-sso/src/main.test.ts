import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { findFreePort, listenOnFreePort } from '@countersign/testkit/listen-on-free-port';
import { describe, expect, test } from 'vitest';

const enough = {
  COUNTERSIGN_CLIENT_ID: 'sso',
  COUNTERSIGN_CLIENT_SECRET: 'secret',
  COUNTERSIGN_APPLICATION: 'mail',
};

function run(settings: Record<string, string>) {
  const main = fileURLToPath(new URL('./main.ts', import.meta.url));
  const child = spawn(process.execPath, [main], {
    env: { PATH: process.env.PATH, ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 9_000,
  });
  let output = '';
  const started = new Promise<void>((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        if (output.includes('The sample site is at')) resolve();
      });
    }
  });
  const ended = new Promise<{ code: number | null; output: string }>((resolve) => {
    child.on('close', (code) => resolve({ code, output }));
  });
  return { child, started, ended };
}

describe('the program', () => {
  test('runs until it is told to stop', async () => {
    const port = await findFreePort();
    const { child, started, ended } = run({ ...enough, SAMPLE_SSO_PORT: String(port) });
    await started;
    child.kill('SIGTERM');
    const { code, output } = await ended;
    expect(code).toBe(0);
    expect(output).toBe(`The sample site is at http://127.0.0.1:${port}\n`);
  });

  test.each([
    ['COUNTERSIGN_CLIENT_ID is not set', { COUNTERSIGN_CLIENT_ID: '' }],
    ['COUNTERSIGN_CLIENT_ID', { COUNTERSIGN_CLIENT_ID: 'Not An Id' }],
    ['COUNTERSIGN_BROKER_URL', { COUNTERSIGN_BROKER_URL: 'http://broker.example.com' }],
    ['COUNTERSIGN_CLIENT_SECRET', { COUNTERSIGN_CLIENT_SECRET: 'two words' }],
  ])('ends with one line about %s', async (text, change) => {
    const { code, output } = await run({ ...enough, ...change }).ended;
    expect(code).toBe(1);
    expect(output).toContain(`sample-sso: ${text}`);
    expect(output.trim().split('\n')).toHaveLength(1);
    expect(output).not.toContain('two words');
  });

  test('names a port that is taken', async () => {
    const other = createServer();
    const port = await listenOnFreePort(other);
    const { code, output } = await run({ ...enough, SAMPLE_SSO_PORT: String(port) }).ended;
    other.close();
    expect(code).toBe(1);
    expect(output).toBe(`sample-sso: SAMPLE_SSO_PORT: port ${port} is taken by another program\n`);
  });
});
