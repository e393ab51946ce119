import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { encodeFrame, enroll, writeLauncher } from '@countersign/native-host';
import { startFakeEnrollmentBroker } from '@countersign/testkit/fake-enrollment-broker';
import { alternate, type Figure, median } from './figures.ts';

const rounds = 60;
const origin = 'https://sso.example.com';

/** Spawns, writes the input, and resolves with the milliseconds to the first byte out, or to the end without input. */
function spawnMs(command: string, args: readonly string[], input?: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    let answeredMs: number | undefined;
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'ignore'], env: {} });
    child.once('error', reject);
    child.stdout.once('data', (answer: Buffer) => {
      answeredMs = performance.now() - startedAt;
      if (answer.includes('"type":"error"')) reject(new Error(answer.toString()));
    });
    // What is measured next begins when nothing of this is left.
    child.once('close', () => resolve(answeredMs ?? performance.now() - startedAt));
    if (input !== undefined) child.stdin.write(input);
    child.stdin.end();
  });
}

/** A folder with a host as it lies on a device; gives its launcher. */
function install(directory: string): { readonly launcher: string; readonly state: string } {
  const state = join(directory, 'state');
  mkdirSync(state, { mode: 0o700, recursive: true });
  const configurationPath = join(directory, 'host.json');
  const settings = { origins: [origin], state_directory: state, development: true };
  writeFileSync(configurationPath, JSON.stringify(settings));
  const launcher = join(directory, 'launcher');
  const program = new URL('../../dist/native-host/countersign.cjs', import.meta.url);
  const programPath = fileURLToPath(program);
  writeLauncher(launcher, { nodePath: process.execPath, programPath, configurationPath });
  return { launcher, state };
}

/** Enrolls the state folder, and gives a message that asks its device for a signed answer. */
async function enrollForAnswer(stateDirectory: string): Promise<Uint8Array> {
  const broker = await startFakeEnrollmentBroker();
  try {
    const nowSeconds = Math.floor(Date.now() / 1000);
    const enrolled = await enroll({
      brokerUrl: broker.url,
      hardwareId: { serial_number: 'BENCH' },
      stateDirectory,
      readEnrollmentToken: async () => ({ ok: true, value: 'A'.repeat(43) }),
      nowSeconds,
    });
    if (!enrolled.ok) throw new Error(`${enrolled.reason}: ${enrolled.detail}`);
    const challenge = await broker.organization.signChallenge(origin, nowSeconds);
    return frame({ version: 1, id: 'bench', type: 'attest', challenge, origin });
  } finally {
    await broker.stop();
  }
}

const frame = (message: object) => encodeFrame(Buffer.from(JSON.stringify(message)));

/** The native host's start through its launcher: spawn to the first answer, against Node starting and doing nothing. */
export async function measureHostStart(directory: string): Promise<Figure[]> {
  const fresh = install(join(directory, 'fresh'));
  const device = install(join(directory, 'device'));
  const attest = await enrollForAnswer(device.state);
  const status = frame({ version: 1, id: 'bench', type: 'status' });
  const runs = await alternate(rounds, {
    bare: () => spawnMs(process.execPath, ['-e', '0']),
    status: () => spawnMs(fresh.launcher, [], status),
    attest: () => spawnMs(device.launcher, [], attest),
  });
  const bare = median(runs.bare);
  const figure = (name: string, answered: number, note: string): Figure => ({
    name: `native host, spawn → ${name} ÷ \`node -e 0\``,
    value: `${(answered / bare).toFixed(2)}×`,
    target: '≤ 1.2×',
    note: `${answered.toFixed(0)} ms ÷ ${bare.toFixed(0)} ms; ${note}`,
  });
  return [
    figure('first answer', median(runs.status), 'the status of a device that is not enrolled'),
    figure(
      'signed answer',
      median(runs.attest),
      'with a key in a file; Node loads its cryptography',
    ),
  ];
}
