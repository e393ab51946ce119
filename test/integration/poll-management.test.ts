// Polling of a management, over the real database: whose management ends, and what never ends anybody's.
import { env, runInDurableObject } from 'cloudflare:test';
import { beforeEach, describe, expect, it } from 'vitest';
import { integrationMigrations } from '../../worker/src/integrations/integration-schema.ts';
import type { ManagedDevice } from '../../worker/src/integrations/managed-device.ts';
import type { MdmClient } from '../../worker/src/integrations/mdm-client.ts';
import { type MdmFailure, mdmFailure } from '../../worker/src/integrations/mdm-request.ts';
import {
  beginPolling,
  confirmAfterMs,
  hastenLookUp,
  nextPollMs,
  pollManagement,
} from '../../worker/src/integrations/poll-management.ts';
import type { UntoldReport } from '../../worker/src/integrations/untold-reports.ts';
import { findWatched, watchDevice } from '../../worker/src/integrations/watched-devices.ts';
import { DurableStore, isUnavailable } from '../../worker/src/storage/durable-store.ts';

const pollIntervalMs = 3_600_000;
const confirmMs = confirmAfterMs(pollIntervalMs);
const serialOf = (number: number) => `C02POLL${number}`;
const idOf = (number: number) => `device-${number}`;

/** A management with pages of three, whose devices and failures the test sets. */
function fakeManagement() {
  const devices = new Map<string, boolean>();
  const state: {
    failure: MdmFailure | undefined;
    lists: number;
    lookUps: number;
    posture: Pick<ManagedDevice, 'posture' | 'postureAtMs'>;
  } = { failure: undefined, lists: 0, lookUps: 0, posture: {} };
  const describe_ = ([serialNumber, managed]: [string, boolean]): ManagedDevice => ({
    mdmId: serialNumber,
    managed,
    serialNumber,
    ...state.posture,
  });
  const client: MdmClient = {
    findDevices: async ({ serialNumber }) => {
      state.lookUps++;
      if (state.failure !== undefined) return state.failure;
      return {
        ok: true,
        value: [...devices].filter(([serial]) => serial === serialNumber).map(describe_),
      };
    },
    listDevices: async (page) => {
      state.lists++;
      if (state.failure !== undefined) return state.failure;
      const from = Number(page ?? 0);
      const value = { devices: [...devices].slice(from, from + 3).map(describe_) };
      return {
        ok: true,
        value: from + 3 >= devices.size ? value : { ...value, next: String(from + 3) },
      };
    },
  };
  return { devices, state, client };
}

let object = 0;
let nowMs: number;
let management: ReturnType<typeof fakeManagement>;
let ended: string[];
let isShardThere: boolean;
let told: UntoldReport[];

beforeEach(() => {
  object++;
  nowMs = Date.parse('2026-11-20T10:00:00Z');
  management = fakeManagement();
  ended = [];
  isShardThere = true;
  told = [];
});

async function inStore<Result>(run: (store: DurableStore) => Promise<Result>): Promise<Result> {
  const stub = env.INTEGRATION.get(env.INTEGRATION.idFromName(`poll-${object}`));
  return await runInDurableObject(stub, async (_, { storage }) => {
    return await run(new DurableStore(storage, integrationMigrations));
  });
}

const read = <Value>(block: (sql: SqlStorage) => Value) =>
  inStore(async (store) => {
    const value = store.read(block);
    if (isUnavailable(value)) throw new Error('the storage is not available');
    return value;
  });

/** Watches devices that the management has, unless `present` says otherwise. */
async function watch(count: number, present: (number: number) => boolean = () => true) {
  await inStore((store) =>
    store.write((sql) => {
      const { round } = beginPolling(sql, `poll-${object}`, nowMs, pollIntervalMs);
      for (let number = 0; number < count; number++) {
        const identity = { serialNumber: serialOf(number) };
        watchDevice(sql, idOf(number), identity, identity, round - 1);
        if (present(number)) management.devices.set(serialOf(number), true);
      }
    }),
  );
}

const poll = () =>
  inStore((store) =>
    pollManagement({
      store,
      client: management.client,
      ask: (ask) => ask(),
      pollIntervalMs,
      now: () => nowMs,
      endManagement: async (deviceId) => {
        if (isShardThere) ended.push(deviceId);
        return isShardThere;
      },
      reportAgainAfterMs: 24 * 3_600_000,
      reportPosture: async (reports) => {
        if (isShardThere) told.push(...reports);
        return isShardThere ? reports : [];
      },
      log: () => undefined,
    }),
  );

/** Lets time pass and polls whenever something is due, as the alarm does. */
async function pass(ms: number) {
  const untilMs = nowMs + ms;
  for (;;) {
    const dueMs = await read(nextPollMs);
    if (dueMs === undefined || dueMs > untilMs) break;
    nowMs = Math.max(nowMs + 500, dueMs);
    await poll();
  }
  nowMs = Math.max(nowMs, untilMs);
}

const round = 1.2 * pollIntervalMs;

describe('polling', () => {
  it('lists all pages, and looks up nobody who is there', async () => {
    await watch(10);
    await pass(2 * round);
    expect(management.state.lookUps).toBe(0);
    expect(management.state.lists).toBeGreaterThanOrEqual(8);
    expect(ended).toEqual([]);
  });

  it('asks nobody while no device is watched', async () => {
    expect(await read(nextPollMs)).toBeUndefined();
    await watch(0);
    expect(await read(nextPollMs)).toBeUndefined();
  });

  it('ends the management of who is gone, and of who is not managed, after two look-ups', async () => {
    await watch(10, (number) => number !== 3);
    management.devices.set(serialOf(7), false);
    await pass(round - confirmMs);
    await pass(2 * confirmMs);
    expect(ended.toSorted()).toEqual([idOf(3), idOf(7)]);
    expect(management.state.lookUps).toBe(4);
    expect(await read((sql) => findWatched(sql, { serialNumber: serialOf(3) }))).toEqual([]);
    await pass(3 * round);
    expect(ended).toHaveLength(2);
  });

  it('takes a list without a single device for no answer, however few are watched', async () => {
    await watch(2, () => false);
    await pass(3 * round);
    expect(management.state.lists).toBeGreaterThanOrEqual(2);
    expect(management.state.lookUps).toBe(0);
    expect(ended).toEqual([]);
    management.devices.set('C02OTHER', true);
    await pass(3 * round);
    expect(ended.toSorted()).toEqual([idOf(0), idOf(1)]);
  });

  it('forgets that a device was missed when it is there again', async () => {
    await watch(10, (number) => number !== 3);
    while (management.state.lookUps === 0) await pass(60_000);
    management.devices.set(serialOf(3), true);
    await pass(3 * round);
    expect(ended).toEqual([]);
    const [device] = await read((sql) => findWatched(sql, { serialNumber: serialOf(3) }));
    expect(device).toMatchObject({ missed: 0, look_up_at_ms: null });
  });

  it('takes no failure for a word on a device, for as long as it lasts', async () => {
    await watch(10, (number) => number !== 3);
    while (management.state.lookUps === 0) await pass(60_000);
    const failures = [
      'unreachable',
      'timed_out',
      'rate_limited',
      'server_failed',
      'answer_malformed',
      'redirected',
      'credentials_refused',
      'permission_missing',
      'refused',
      'answer_too_large',
    ] as const;
    for (const reason of failures) {
      management.state.failure = mdmFailure(reason, 'no');
      await pass(2 * confirmMs);
    }
    expect(ended).toEqual([]);
    management.state.failure = undefined;
    management.devices.clear();
    for (let number = 0; number < 10; number++) management.devices.set(serialOf(number), true);
    await pass(2 * round);
    expect(ended).toEqual([]);
  });

  it('ends nobody when more than half are missing at once: then the view is what was lost', async () => {
    await watch(10);
    await pass(round);
    management.devices.clear();
    management.devices.set(serialOf(0), true);
    await pass(5 * round);
    expect(ended).toEqual([]);
    // And what it held back ends once the others are seen again.
    for (let number = 0; number < 8; number++) management.devices.set(serialOf(number), true);
    await pass(2 * round);
    expect(ended.toSorted()).toEqual([idOf(8), idOf(9)]);
  });

  it('tells the shard again until it has it', async () => {
    await watch(10, (number) => number !== 3);
    isShardThere = false;
    await pass(2 * round);
    expect(ended).toEqual([]);
    isShardThere = true;
    await pass(2 * confirmMs);
    expect(ended).toEqual([idOf(3)]);
  });

  it('looks a device up at once when an event names it, and still waits for the second word', async () => {
    await watch(10, (number) => number !== 3);
    const hasten = () =>
      inStore((store) =>
        store.write((sql) => {
          for (const device of findWatched(sql, { serialNumber: serialOf(3) })) {
            hastenLookUp(sql, device, nowMs, pollIntervalMs);
          }
        }),
      );
    for (let event = 0; event < 20; event++) {
      await hasten();
      await pass(1000);
    }
    expect(management.state.lookUps).toBe(1);
    expect(ended).toEqual([]);
    await pass(confirmMs);
    expect(ended).toEqual([idOf(3)]);
  });

  it('tells what the management says of how devices are kept, once for each that it is news of', async () => {
    await watch(4);
    const said = (firewall: boolean) => {
      management.state.posture = { posture: { firewall }, postureAtMs: nowMs };
    };
    said(true);
    await pass(3 * round);
    expect(told.map(({ deviceId }) => deviceId).toSorted()).toEqual([0, 1, 2, 3].map(idOf));
    expect(told.every(({ posture }) => posture?.firewall === true)).toBe(true);
    // Nobody is told of a round in which nothing is new; what a shard did not take comes again.
    told = [];
    said(false);
    isShardThere = false;
    await pass(2 * round);
    expect(told).toEqual([]);
    isShardThere = true;
    await pass(2 * round);
    expect(told).toHaveLength(4);
    expect(told.every(({ posture }) => posture?.firewall === false)).toBe(true);
  });

  it('tells what a look-up finds', async () => {
    await watch(3, (number) => number !== 2);
    while (management.state.lookUps === 0) await pass(60_000);
    told = [];
    management.state.posture = { posture: { screen_lock: true }, postureAtMs: nowMs };
    management.devices.set(serialOf(2), true);
    const lists = management.state.lists;
    while (management.state.lookUps === 1) await pass(10_000);
    expect(management.state.lists).toBe(lists);
    expect(told).toMatchObject([{ deviceId: idOf(2), posture: { screen_lock: true } }]);
  });
});
