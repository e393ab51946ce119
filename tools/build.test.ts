import { execFile } from 'node:child_process';
import { accessSync, constants, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { build, bundleNames, describeBuild } from './build.mjs';

const tools = dirname(fileURLToPath(import.meta.url));

describe('build', () => {
  it('makes every bundle, with its source map beside it, and says how large it is', async () => {
    for (const result of await build()) {
      const content = readFileSync(result.output);
      expect(result.bytes).toBe(content.length);
      expect(result.gzipBytes).toBe(gzipSync(content).length);
      expect(statSync(`${result.output}.map`).size).toBeGreaterThan(0);
      expect(content.toString()).not.toContain(dirname(tools));
      expect(describeBuild(result)).toContain(`${(result.bytes / 1000).toFixed(1)} KB`);
    }
  });

  it('does not build again what has not changed', async () => {
    await build();
    const again = { build: () => Promise.reject(new Error()), formatMessages: () => ['once more'] };
    vi.doMock('esbuild', () => again);
    onTestFinished(() => void vi.doUnmock('esbuild'));
    const results = await build();
    expect(results.map(({ name, unchanged }) => [name, unchanged])).toEqual(
      bundleNames.map((name) => [name, true]),
    );
  });

  it('builds again what somebody has changed in place', async () => {
    const [before] = await build(['attest']);
    const path = before?.path ?? '';
    const good = readFileSync(path, 'utf8');
    writeFileSync(path, `${good}\n// changed`);
    const [after] = await build(['attest']);
    expect(after?.unchanged).toBe(false);
    expect(readFileSync(path, 'utf8')).toBe(good);
  });

  it('makes the host a program, and the page part a module with attest()', async () => {
    const [host, page] = await build(['native-host', 'attest']);
    expect(readFileSync(host?.path ?? '', 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
    accessSync(host?.path ?? '', constants.X_OK);
    const { stdout } = await promisify(execFile)(process.execPath, [host?.path ?? '', '--version']);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    const { attest } = await import(page?.path ?? '');
    expect(attest).toBeTypeOf('function');
  });

  it('names the bundles there are when it is asked for another', async () => {
    const run = promisify(execFile)(process.execPath, [join(tools, 'build.mjs'), 'wroker']);
    await expect(run).rejects.toMatchObject({
      code: 1,
      stderr: 'build: no bundle is called wroker; there are worker, native-host, attest\n',
    });
  });
});
