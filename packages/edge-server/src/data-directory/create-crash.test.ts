import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { checkDataDirectory } from './check-data-directory.ts';
import { ensureDataDirectory } from './open-data-directory.ts';

const moduleUrl = new URL('./open-data-directory.ts', import.meta.url).href;
const creator = `
  const { ensureDataDirectory } = await import(${JSON.stringify(moduleUrl)});
  process.stdout.write('begin');
  await ensureDataDirectory(process.argv[1], { brokerUrl: 'http://127.0.0.1:8780', nowMs: 0 });
`;

async function killCreation(directory: string, afterMs: number): Promise<void> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', creator, directory], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  await once(child.stdout, 'data');
  await sleep(afterMs);
  child.kill('SIGKILL');
  await ended;
}

it('leaves nothing or everything when it is killed at any moment', async () => {
  for (const afterMs of [0, 1, 3, 6, 10, 15]) {
    const parent = temporaryDirectory();
    const directory = join(parent, 'data');
    await killCreation(directory, afterMs);
    if (existsSync(directory)) checkDataDirectory(directory);
    await ensureDataDirectory(directory, { brokerUrl: 'http://127.0.0.1:8780', nowMs: 0 });
    expect(readdirSync(parent)).toEqual(['data']);
  }
}, 30_000);
