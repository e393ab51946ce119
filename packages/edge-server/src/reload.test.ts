import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { makeTlsServerCertificate } from './data-directory/make-certificates.ts';
import { newP256Key } from './data-directory/private-key.ts';
import { certificateNames } from './front/server-names.ts';
import { startFront } from './front/start-front.ts';
import type { LogFields } from './logs.ts';
import { createReload } from './reload.ts';
import { writeEchoWorker } from './testing/echo-worker.ts';
import { freePort, visits } from './testing/start-test-server.ts';
import { temporaryDirectory } from './testing/temporary-directory.ts';
import { makeSocketDirectory } from './workerd/socket-directory.ts';
import { workerdConfigurationText } from './workerd/workerd-configuration.ts';
import { superviseWorkerd } from './workerd/workerd-supervisor.ts';

/** The front and a supervised workerd, whose configuration differs by one text. */
async function startReloadable() {
  const directory = temporaryDirectory();
  const { socket, remove } = makeSocketDirectory();
  onTestFinished(remove);
  const configurationPath = join(directory, 'workerd.capnp');
  const workerBundle = writeEchoWorker(directory);
  const textWith = (brokerUrl: string, bundle = workerBundle) =>
    workerdConfigurationText({
      path: configurationPath,
      workerBundle: bundle,
      socket,
      durableObjects: directory,
      texts: { BROKER_URL: brokerUrl },
      keys: {},
    });
  const events: Array<LogFields & { event: string }> = [];
  const log = {
    write: (_level: string, event: string, _message: string, fields?: LogFields) =>
      void events.push({ event, ...fields }),
    passThrough: () => undefined,
  };
  writeFileSync(configurationPath, textWith('first'));
  const supervisor = await superviseWorkerd({
    configurationPath,
    socket,
    log,
    onProcess: () => undefined,
  });
  onTestFinished(() => supervisor.stop());
  const { privateKey, pem } = newP256Key();
  const names = certificateNames(['localhost']);
  const front = await startFront({
    host: '127.0.0.1',
    httpPort: await freePort(),
    tlsPort: await freePort(),
    tls: { key: pem, cert: await makeTlsServerCertificate(privateKey, names, Date.now()) },
    clientAuthorities: [],
    socketPath: socket,
    isReady: supervisor.isReady,
    log,
  });
  onTestFinished(() => front.stop(0));
  const running = textWith('first');
  const reload = createReload({ front, supervisor, configurationPath, running, log });
  const url = `http://127.0.0.1:${front.httpPort}`;
  const present = async () => {
    const body: unknown = await (await fetch(`${url}/text`)).json();
    return Object(body).brokerUrl;
  };
  return { url, reload, textWith, supervisor, events, present, directory };
}

it('replaces workerd under load without one request that fails or is counted twice', async () => {
  const { url, reload, textWith, supervisor, present } = await startReloadable();
  const statuses: number[] = [];
  const counts: number[] = [];
  let ending = false;
  const keepAsking = async () => {
    while (!ending) {
      const answer = await fetch(`${url}/count`, { method: 'POST', body: 'x' });
      statuses.push(answer.status);
      if (answer.ok) counts.push(Object(await answer.json()).visits);
    }
  };
  const load = Promise.all(Array.from({ length: 8 }, keepAsking));
  const pids = [supervisor.pid()];
  for (const name of ['second', 'third', 'fourth']) {
    expect(await reload.to(textWith(name))).toBe(true);
    pids.push(supervisor.pid());
    expect(await present()).toBe(name);
    await sleep(200);
  }
  ending = true;
  await load;
  expect(new Set(pids).size).toBe(4);
  expect(statuses.length).toBeGreaterThan(50);
  expect(statuses.filter((status) => status !== 200)).toEqual([]);
  expect(counts.toSorted((a, b) => a - b)).toEqual(counts.map((_, index) => index + 1));
});

it('lets a request that is under way come to its end first', async () => {
  const { url, reload, textWith } = await startReloadable();
  await fetch(url);
  const slow = fetch(`${url}/slow`, { method: 'POST', body: 'x' });
  await sleep(200);
  const startedAt = performance.now();
  await reload.to(textWith('second'));
  expect(performance.now() - startedAt).toBeGreaterThan(200);
  expect((await slow).status).toBe(200);
});

it('does nothing for what runs already, and one reload after the other', async () => {
  const { reload, textWith, supervisor, present, events } = await startReloadable();
  const pid = supervisor.pid();
  expect(await reload.to(textWith('first'))).toBe(false);
  expect(supervisor.pid()).toBe(pid);
  const both = await Promise.all([reload.to(textWith('second')), reload.to(textWith('third'))]);
  expect(both).toEqual([true, true]);
  expect(await present()).toBe('third');
  expect(events.map(({ event }) => event)).toEqual(['reloaded', 'reloaded']);
});

it('goes back to what ran before when workerd does not start with the new settings', async () => {
  const { url, reload, textWith, present, directory, events } = await startReloadable();
  expect(await visits(url)).toBe(1);
  const broken = join(directory, 'broken.js');
  writeFileSync(broken, 'export default { fetch( {');
  const waiting = reload.to(textWith('second', broken));
  const meanwhile = fetch(`${url}/count`, { method: 'POST' });
  await expect(waiting).rejects.toThrow('SyntaxError');
  expect((await meanwhile).status).toBe(200);
  expect(await present()).toBe('first');
  expect(await visits(url)).toBe(3);
  expect(events).toEqual([]);
  expect(await reload.to(textWith('third'))).toBe(true);
  expect(await present()).toBe('third');
});

it('replaces a workerd that is just being started again after a crash', async () => {
  const { url, reload, textWith, supervisor, present } = await startReloadable();
  expect(await visits(url)).toBe(1);
  for (const name of ['second', 'third', 'fourth']) {
    process.kill(supervisor.pid() ?? 0, 'SIGKILL');
    await sleep(name === 'second' ? 0 : 25);
    await reload.to(textWith(name));
    expect(await present()).toBe(name);
  }
  expect(await visits(url)).toBe(2);
});
