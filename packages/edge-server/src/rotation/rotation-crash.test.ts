import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { keySetClaims } from '@countersign/protocol/key-set';
import { expect, it } from 'vitest';
import { ensureDataDirectory } from '../data-directory/open-data-directory.ts';
import { keepWorkerSettings } from '../keep-worker-settings.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { readPublicKeys, sweepTokenKeys, tokenKeyFiles } from './token-key-files.ts';
import { tokenKeyPurposes } from './token-keys.ts';

const brokerUrl = 'http://127.0.0.1:8780';
const moduleUrl = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
/** Rotates all keys again and again, as fast as it can, with everything that a server writes at each step. */
const rotator = `
  const { ensureDataDirectory } = await import(${moduleUrl('../data-directory/open-data-directory.ts')});
  const { keepWorkerSettings } = await import(${moduleUrl('../keep-worker-settings.ts')});
  const { KeyRotation } = await import(${moduleUrl('./key-rotation.ts')});
  const data = await ensureDataDirectory(process.argv[1], { brokerUrl: '${brokerUrl}', nowMs: Date.now() });
  let ms = 0;
  const rotation = new KeyRotation({
    paths: data.paths,
    keys: data.tokenKeys,
    times: { everyMs: 0, publishMs: 0, publishAtOnceMs: 0, settleMs: 0, retireMs: 0 },
    serve: (keys) => keepWorkerSettings(data, '${brokerUrl}', keys, Date.now()),
    log: { write: (level, event, message) => { if (level === 'error') throw new Error(message); }, passThrough() {} },
    now: Date.now,
    monotonicNow: () => ms++,
  });
  for (;;) {
    await rotation.tick();
    process.stdout.write('.');
  }
`;

/** Kills it `afterMs` after so many steps. */
async function killRotation(directory: string, steps: number, afterMs: number): Promise<void> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', rotator, directory], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  let taken = 0;
  child.stdout.on('data', (dots: Buffer) => {
    taken += dots.length;
  });
  while (taken < steps && child.exitCode === null) await sleep(1);
  await sleep(afterMs);
  expect(child.exitCode).toBe(null);
  child.kill('SIGKILL');
  await ended;
}

function keySetOf(path: string) {
  const [, payload = ''] = readFileSync(path, 'utf8').split('.');
  return keySetClaims.parse(JSON.parse(Buffer.from(payload, 'base64url').toString()));
}

it('can be killed at any moment: the folder opens, each key is there, and the key set only grows newer', async () => {
  const directory = join(temporaryDirectory(), 'data');
  let { tokenKeys } = await ensureDataDirectory(directory, { brokerUrl, nowMs: Date.now() });
  let version = 0;
  let changes = 0;
  for (const [round, afterMs] of [0, 1, 2, 3, 5, 8, 13, 21].entries()) {
    await killRotation(directory, round + 1, afterMs);
    const data = await ensureDataDirectory(directory, { brokerUrl, nowMs: Date.now() });
    for (const purpose of tokenKeyPurposes) readPublicKeys(data.paths, data.tokenKeys, purpose);
    await keepWorkerSettings(data, brokerUrl, data.tokenKeys, Date.now());
    const keySet = keySetOf(data.paths.keySet);
    expect(keySet.version).toBeGreaterThanOrEqual(version);
    expect(keySet.keys.map(({ kid }) => kid)).toContain(data.tokenKeys.challenge.inUse.kid);
    ({ version } = keySet);
    if (data.tokenKeys.challenge.inUse.kid !== tokenKeys.challenge.inUse.kid) changes += 1;
    ({ tokenKeys } = data);
    sweepTokenKeys(data.paths, tokenKeys);
    expect(tokenKeyFiles(data.paths, tokenKeys)).not.toEqual([]);
  }
  expect(changes).toBeGreaterThan(2);
}, 180_000);
