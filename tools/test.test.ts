import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { missingPackages, notRunLine } from './provision.ts';

let onlyNode: string;
beforeEach(() => {
  onlyNode = mkdtempSync(join(tmpdir(), 'countersign-only-node-'));
  symlinkSync(process.execPath, join(onlyNode, 'node'));
});
afterEach(() => rmSync(onlyNode, { recursive: true }));

/** The e2e group where there is neither a browser nor apt-get to install one. */
function runWithoutBrowser(environment: Record<string, string>) {
  const script = fileURLToPath(new URL('test.ts', import.meta.url));
  const { status, stdout } = spawnSync(process.execPath, [script, 'e2e'], {
    env: { PATH: onlyNode, HOME: onlyNode, ...environment },
    encoding: 'utf8',
    timeout: 9000,
  });
  return { status, lines: stdout.trim().split('\n') };
}

describe('a group of tests whose system packages are missing', () => {
  it('prints NOT RUN with the command that installs them', () => {
    const { lines } = runWithoutBrowser({});
    expect(lines).toContainEqual(
      expect.stringMatching(
        /^NOT RUN: e2e needs .*chromium.*; install with: sudo apt-get install .*chromium/,
      ),
    );
    expect(lines.at(-1)).toBe('0 passed, 0 failed');
  });

  it('is a failure under CI=true', () => {
    const { status, lines } = runWithoutBrowser({ CI: 'true' });
    expect(lines.at(-1)).toBe('0 passed, 1 failed');
    expect(status).toBe(1);
  });
});

describe('a group of tests that sets something for the whole machine', () => {
  const somebody = process.getuid?.() === 0 ? { uid: 65_534 } : {};
  it('prints NOT RUN to who is not root', () => {
    const script = fileURLToPath(new URL('test.ts', import.meta.url));
    const run = (environment: Record<string, string>) =>
      spawnSync(process.execPath, [script, 'e2e'], {
        env: { PATH: process.env.PATH, HOME: '/nonexistent', ...environment },
        encoding: 'utf8',
        timeout: 9000,
        ...somebody,
      });
    const { status, stdout } = run({});
    expect(stdout).toMatch(/^NOT RUN: e2e (sets browser policy.*as root|needs .*)/m);
    expect([status, run({ CI: 'true' }).status]).toEqual([1, 1]);
    expect(run({ CI: 'true' }).stdout.trim().split('\n').at(-1)).toBe('0 passed, 1 failed');
  });
});

describe('missingPackages', () => {
  it('looks for each package in PATH', () => {
    const script =
      "import { missingPackages } from './provision.ts'; console.log(missingPackages(['judges']).join());";
    const missing = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      cwd: fileURLToPath(new URL('.', import.meta.url)),
      env: { PATH: onlyNode },
      encoding: 'utf8',
    });
    expect(missing.trim()).toMatch(/^openssl,gnutls-bin,strongswan-pki(,|$)/);
    expect(missingPackages([])).toEqual([]);
    expect(notRunLine('conformance', ['a', 'b'])).toContain('conformance needs a, b;');
  });
});
