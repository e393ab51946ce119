import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { removeBrowserPolicy } from '../support/browser/browser-policy.ts';
import { findFreePort } from '../support/free-port.ts';

// `npm run demo` as somebody runs it who has neither root nor a policy, but without windows.

const demo = fileURLToPath(new URL('../../tools/demo.ts', import.meta.url));

function temporaryFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'countersign-demo-test-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true, maxRetries: 5 }));
  return path;
}

async function runDemo(args: readonly string[], path = process.env.PATH) {
  const folder = temporaryFolder();
  const [http, tls, sample] = [await findFreePort(), await findFreePort(), await findFreePort()];
  const ports = ['--http-port', `${http}`, '--tls-port', `${tls}`, '--sample-port', `${sample}`];
  const profiles = temporaryFolder();
  const env = { PATH: path, HOME: '/nowhere', TMPDIR: profiles };
  const options = { cwd: folder, env, timeout: 80_000 };
  const result = await new Promise<{ code: number; output: string }>((resolve) => {
    execFile(process.execPath, [demo, ...ports, ...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : Number(error.code ?? -1);
      resolve({ code, output: stdout + stderr });
    });
  });
  return { ...result, left: readdirSync(profiles), folder: readdirSync(folder) };
}

test('the demo signs in from the managed profile, and not from the other one', async () => {
  removeBrowserPolicy();
  const { code, output, left, folder } = await runDemo(['--headless']);
  expect(output).toMatch(/allowed\s+trusted_device/);
  expect(output).toMatch(/denied\s+extension_not_installed/);
  expect(output).toContain("signed it with the device's own key");
  expect(code).toBe(0);
  expect(left.filter((name) => name.startsWith('countersign-demo-'))).toEqual([]);
  expect(folder.every((name) => name.startsWith('.countersign-demo'))).toBe(true);
});

test('without a browser it says which to install, before it starts anything', async () => {
  for (const [args, path] of [
    [['--headless'], '/nonexistent'],
    [['--headless', '--browser', '/nonexistent/browser'], process.env.PATH],
  ] as const) {
    const { code, output, folder } = await runDemo(args, path);
    expect(code).toBe(1);
    expect(output).toContain('Install Chromium');
    expect(folder).toEqual([]);
  }
});
