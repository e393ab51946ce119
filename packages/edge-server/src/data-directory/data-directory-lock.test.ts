import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { identifyProcess } from '../process-identity.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { lockDataDirectory } from './data-directory-lock.ts';
import { dataPaths } from './layout.ts';

const moduleUrl = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
const holder = `
  const { lockDataDirectory } = await import(${moduleUrl('./data-directory-lock.ts')});
  const { dataPaths } = await import(${moduleUrl('./layout.ts')});
  const { identifyProcess } = await import(${moduleUrl('../process-identity.ts')});
  const directory = process.argv[1];
  const { lock } = lockDataDirectory(directory, dataPaths(directory));
  const self = identifyProcess(process.pid);
  lock.record({ server: self, workerd: self, socketDirectory: '/tmp/somewhere' });
  process.stdout.write('locked');
  setInterval(() => lock, 1000);
`;

async function lockInOtherProcess(directory: string) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', holder, directory], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child;
}

const refusal = (text: string) =>
  expect.objectContaining({
    failure: 'data_directory_in_use',
    message: expect.stringContaining(text),
  });

it('keeps a second server of the same process out until it is released', () => {
  const directory = temporaryDirectory();
  const paths = dataPaths(directory);
  const { lock } = lockDataDirectory(directory, paths);
  // Twice: a refused attempt must not weaken the lock.
  for (let attempt = 0; attempt < 2; attempt++) {
    expect(() => lockDataDirectory(directory, paths)).toThrow(refusal(directory));
  }
  lock.release();
  lockDataDirectory(directory, paths).lock.release();
  expect(statSync(paths.lock).mode & 0o777).toBe(0o600);
});

it('keeps another process out and names it; a killed one leaves its record, not its lock', async () => {
  const directory = temporaryDirectory();
  const paths = dataPaths(directory);
  const child = await lockInOtherProcess(directory);
  const identity = identifyProcess(child.pid ?? 0);
  expect(identity).toBeDefined();
  expect(() => lockDataDirectory(directory, paths)).toThrow(refusal(`(process ${child.pid} here)`));

  child.kill('SIGKILL');
  await once(child, 'exit');
  const { lock, leftBehind } = lockDataDirectory(directory, paths);
  expect(leftBehind).toEqual({
    server: identity,
    workerd: identity,
    socketDirectory: '/tmp/somewhere',
  });
  lock.release();
  expect(existsSync(paths.runRecord)).toBe(false);
});
