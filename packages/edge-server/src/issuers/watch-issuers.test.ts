import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readIssuers, writeIssuers } from '../data-directory/issuers.ts';
import { ensureDataDirectory } from '../data-directory/open-data-directory.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { makeNewIssuer } from './prepare-issuer.ts';
import { removeIssuer } from './retire-issuer.ts';
import { IssuerWatch } from './watch-issuers.ts';

/** A watch whose clock is moved by hand. */
async function setUp() {
  const nowMs = Date.UTC(2026, 10, 21);
  const directory = join(temporaryDirectory(), 'data');
  const data = await ensureDataDirectory(directory, { brokerUrl: 'http://127.0.0.1:8780', nowMs });
  const served: string[] = [];
  const events: string[] = [];
  const state = { fails: false, monotonicMs: 0 };
  const watch = new IssuerWatch({
    paths: data.paths,
    served: readIssuers(data.paths),
    serve: async () => {
      if (state.fails) throw new Error('workerd does not start');
      served.push(readIssuers(data.paths).active.join(' '));
    },
    log: { write: (_level, event) => void events.push(event), passThrough: () => undefined },
    monotonicNow: () => state.monotonicMs,
  });
  const pass = async (ms: number) => {
    state.monotonicMs += ms;
    await watch.tick();
  };
  return { data, paths: data.paths, served, events, state, pass, nowMs };
}

it('serves an issuer that has come, once, and removes the key of one that has gone after that', async () => {
  const { data, paths, served, events, pass, nowMs } = await setUp();
  await pass(1);
  expect(served).toEqual([]);
  await makeNewIssuer(data, nowMs);
  await pass(1);
  await pass(1);
  expect(served).toEqual(['issuer issuer-2']);
  removeIssuer(data, 'issuer');
  expect(existsSync(paths.privateKey('issuer'))).toBe(true);
  await pass(1);
  expect(served).toEqual(['issuer issuer-2', 'issuer-2']);
  expect(existsSync(paths.privateKey('issuer'))).toBe(false);
  expect(existsSync(paths.privateKey('issuer-2'))).toBe(true);
  expect(events).toEqual(['issuers_changed', 'issuers_changed']);
});

it('keeps the key while the broker cannot do without it, and tries again after a minute', async () => {
  const { data, paths, served, events, state, pass, nowMs } = await setUp();
  await makeNewIssuer(data, nowMs);
  await pass(1);
  removeIssuer(data, 'issuer');
  state.fails = true;
  await pass(1);
  await pass(59_000);
  expect(existsSync(paths.privateKey('issuer'))).toBe(true);
  expect(events).toEqual(['issuers_changed', 'issuers_not_served']);
  state.fails = false;
  await pass(1_000);
  expect(served.at(-1)).toBe('issuer-2');
  expect(existsSync(paths.privateKey('issuer'))).toBe(false);
});

it('goes on with what it serves when the list of issuers is damaged', async () => {
  const { paths, served, events, pass } = await setUp();
  const issuers = readIssuers(paths);
  writeFileSync(paths.issuers, '{');
  await pass(1);
  expect(events).toEqual(['issuers_not_served']);
  writeIssuers(paths, issuers);
  await pass(60_000);
  expect([served, events]).toEqual([[], ['issuers_not_served']]);
});

it('removes at its first look what a rollover that was broken off has left', async () => {
  const { data, paths, pass, nowMs } = await setUp();
  await makeNewIssuer(data, nowMs);
  const issuers = readIssuers(paths);
  writeIssuers(paths, { ...issuers, active: ['issuer'] });
  await pass(1);
  expect(existsSync(paths.privateKey('issuer-2'))).toBe(false);
  // One whose name nobody has read yet may be under construction.
  writeFileSync(paths.privateKey('issuer-3'), 'half', { mode: 0o600 });
  await pass(1);
  expect(existsSync(paths.privateKey('issuer-3'))).toBe(true);
});
