import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { isProcessAlive } from '../process-identity.ts';
import { writeEchoWorker } from '../testing/echo-worker.ts';
import { startTestServer, testOptions, visits } from '../testing/start-test-server.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { makeSocketDirectory } from './socket-directory.ts';
import { workerdConfigurationText } from './workerd-configuration.ts';
import { type SupervisorOptions, superviseWorkerd } from './workerd-supervisor.ts';

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let waited = 0; !(await condition()); waited += 10) {
    if (waited > 20_000) throw new Error('it did not come to pass within 20 seconds');
    await sleep(10);
  }
}

it('starts workerd again after kill -9: 503 meanwhile, nothing written is lost', async () => {
  const lines: string[] = [];
  const options = await testOptions(temporaryDirectory());
  const server = await startTestServer({ ...options, log: (line) => lines.push(line) });
  expect(await visits(server.httpUrl)).toBe(1);
  for (let round = 2; round < 5; round++) {
    const pid = server.workerdPid() ?? 0;
    process.kill(pid, 'SIGKILL');
    await until(() => server.workerdPid() !== pid);
    let last = await fetch(`${server.httpUrl}/count`, { method: 'POST' });
    while (last.status !== 200) {
      expect(last.status).toBe(503);
      expect(last.headers.get('retry-after')).toBe('1');
      expect(await last.json()).toMatchObject({ code: 'storage_unavailable' });
      await sleep(5);
      last = await fetch(`${server.httpUrl}/count`, { method: 'POST' });
    }
    expect(await last.json()).toEqual({ visits: round });
  }
  expect(lines.filter((line) => line.includes('workerd_ended'))).toHaveLength(3);
});

it('kills a workerd that does not answer any more, and starts it again: 503 meanwhile', async () => {
  const lines: string[] = [];
  const options = await testOptions(temporaryDirectory());
  const server = await startTestServer({
    ...options,
    liveness: { intervalMs: 100, timeoutMs: 1_000 },
    log: (line) => lines.push(line),
  });
  expect(await visits(server.httpUrl)).toBe(1);
  const pid = server.workerdPid() ?? 0;
  const stoppedAt = performance.now();
  process.kill(pid, 'SIGSTOP');
  onTestFinished(() => {
    if (isProcessAlive(pid)) process.kill(pid, 'SIGKILL');
  });
  const meanwhile = await Promise.all([
    fetch(server.httpUrl),
    fetch(`${server.httpUrl}/count`, { method: 'POST' }),
  ]);
  expect(meanwhile.map(({ status }) => status)).toEqual([503, 503]);
  // Not at the first question that went unanswered.
  expect(performance.now() - stoppedAt).toBeGreaterThan(2_500);
  await until(async () => (await fetch(server.httpUrl)).status === 200);
  expect(performance.now() - stoppedAt).toBeLessThan(10_000);
  expect(isProcessAlive(pid)).toBe(false);
  expect(server.workerdPid()).not.toBe(pid);
  expect(await visits(server.httpUrl)).toBe(2);
  const events = () =>
    lines.map((line) => JSON.parse(line)).filter(({ event }) => event.startsWith('workerd_'));
  expect(events()).toMatchObject([
    { event: 'workerd_hung', level: 'error', pid },
    { event: 'workerd_ended', how: 'SIGKILL' },
    { event: 'workerd_started', pid: server.workerdPid() },
  ]);
  // The new one is watched as well, and left alone as long as it answers.
  await sleep(1_500);
  expect(events().map(({ event }) => event)).toEqual([
    'workerd_hung',
    'workerd_ended',
    'workerd_started',
  ]);
});

it('stops in good time when workerd hangs', async () => {
  const server = await startTestServer(await testOptions(temporaryDirectory()));
  const pid = server.workerdPid() ?? 0;
  process.kill(pid, 'SIGSTOP');
  const startedAt = performance.now();
  await server.stop();
  expect(performance.now() - startedAt).toBeLessThan(10_000);
  expect(isProcessAlive(pid)).toBe(false);
});

/** A supervisor whose owner cannot always take note of a process. */
function supervision() {
  const directory = temporaryDirectory();
  const { socket, remove } = makeSocketDirectory();
  onTestFinished(remove);
  const configurationPath = join(directory, 'workerd.capnp');
  const worker = {
    path: configurationPath,
    workerBundle: writeEchoWorker(directory),
    socket,
    durableObjects: directory,
    texts: {},
    keys: {},
  };
  writeFileSync(configurationPath, workerdConfigurationText(worker));
  const state = { fails: false, pids: [] as number[], events: [] as string[] };
  const options: SupervisorOptions = {
    configurationPath,
    socket,
    log: {
      write: (_level, event) => void state.events.push(event),
      passThrough: () => undefined,
    },
    onProcess: (pid) => {
      if (pid !== undefined) state.pids.push(pid);
      if (state.fails) throw new Error('the disk is full');
    },
  };
  return { state, options };
}

it('leaves no process behind that could not be recorded', async () => {
  const { state, options } = supervision();
  state.fails = true;
  await expect(superviseWorkerd(options)).rejects.toThrow('the disk is full');
  expect(state.pids.map(isProcessAlive)).toEqual([false]);
});

it('outlives a disk that is full for a while, with one process at the end', async () => {
  const { state, options } = supervision();
  const supervisor = await superviseWorkerd(options);
  onTestFinished(() => supervisor.stop());
  state.fails = true;
  process.kill(supervisor.pid() ?? 0, 'SIGKILL');
  await until(() => state.events.filter((event) => event === 'workerd_start_failed').length > 1);
  expect(supervisor.isReady()).toBe(false);
  state.fails = false;
  await until(supervisor.isReady);
  expect(state.events.slice(0, 2).sort()).toEqual(['workerd_end_not_recorded', 'workerd_ended']);
  expect(state.pids.filter(isProcessAlive)).toEqual([supervisor.pid()]);
  expect(state.pids.length).toBeGreaterThan(3);
});
