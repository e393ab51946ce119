import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { alternate, type Figure, median } from './figures.ts';

const rounds = 40;

/** Spawns, writes the input, and resolves with the milliseconds to the first byte out, or to the end without input. */
function spawnMs(command: string, args: readonly string[], input?: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'ignore'], env: {} });
    const done = () => resolve(performance.now() - startedAt);
    child.once('error', reject);
    if (input === undefined) child.once('exit', done);
    else {
      child.stdout.once('data', done);
      child.stdin.write(input);
    }
    child.stdin.end();
  });
}

/** The native host's start: spawn to the first answer, against Node starting and doing nothing. */
export async function measureHostStart(directory: string): Promise<Figure[]> {
  const host = fileURLToPath(new URL('../../dist/native-host/countersign.cjs', import.meta.url));
  const configuration = join(directory, 'host.json');
  mkdirSync(join(directory, 'state'), { mode: 0o700 });
  const settings = {
    origins: ['https://sso.example.com'],
    state_directory: join(directory, 'state'),
    development: true,
  };
  writeFileSync(configuration, JSON.stringify(settings));
  const body = Buffer.from(JSON.stringify({ version: 1, id: 'bench', type: 'status' }));
  const frame = Buffer.alloc(4 + body.length);
  frame.writeUInt32LE(body.length);
  body.copy(frame, 4);
  const hostArguments = [host, '--config', configuration, 'native-messaging'];
  const runs = await alternate(rounds, {
    bare: () => spawnMs(process.execPath, ['-e', '0']),
    host: () => spawnMs(process.execPath, hostArguments, frame),
  });
  const bare = median(runs.bare);
  const answered = median(runs.host);
  return [
    {
      name: 'native host, spawn → first answer ÷ `node -e 0`',
      value: `${(answered / bare).toFixed(2)}×`,
      target: '≤ 1.2×',
      note: `${answered.toFixed(0)} ms ÷ ${bare.toFixed(0)} ms; the answer is the status, without a signature`,
    },
  ];
}
