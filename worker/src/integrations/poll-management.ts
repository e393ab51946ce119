import type { DurableStore } from '../storage/durable-store.ts';
import { isUnavailable } from '../storage/durable-store.ts';
import { pickRecord } from './managed-device.ts';
import type { DevicePage, MdmClient } from './mdm-client.ts';
import type { MdmFailure, MdmResult } from './mdm-request.ts';
import { latestOfEach, markTold, type UntoldReport, untoldReport } from './untold-reports.ts';
import {
  askedIdentityOf,
  countWatched,
  dueLookUps,
  findMissed,
  forgetDevice,
  identityOf,
  lookUpBy,
  lookUpUnmet,
  markMet,
  markMissed,
  nextLookUpMs,
  type WatchedDevice,
} from './watched-devices.ts';

/**
 * Asks a management about the devices that it is to manage. A round lists its whole inventory, page by page; whoever
 * was not met in it is looked up by itself. A certificate is at stake, so an end of management takes two look-ups that
 * found the device unmanaged or not there, some time apart. Whatever is no clean answer says nothing about any device, a
 * list without a single one included: an account that may no longer see them gets that. And when more than half of the devices are missing at once, nothing is ended: then it is the view that was lost.
 */

const pagesAtOnce = 10;
const lookUpsAtOnce = 40;
const pauseBetweenPagesMs = 1_000;
const pauseAfterFailureMs = 60_000;
/** Below this many, "more than half" means nothing. */
const fewestForHold = 5;

export type PollContext = {
  readonly store: DurableStore;
  readonly client: MdmClient;
  /** Waits for its turn at the management. */
  readonly ask: <Value>(ask: () => Promise<MdmResult<Value>>) => Promise<MdmResult<Value>>;
  readonly pollIntervalMs: number;
  readonly now: () => number;
  /** Tells the device's shard; true when it is on disk there. */
  readonly endManagement: (deviceId: string) => Promise<boolean>;
  /** How much younger the same word on a device's posture must be to be told again. */
  readonly reportAgainAfterMs: number;
  /** Tells the devices' shards; answers those reports that are on disk there. */
  readonly reportPosture: (reports: readonly UntoldReport[]) => Promise<readonly UntoldReport[]>;
  readonly log: (event: string, fields: Readonly<Record<string, unknown>>) => void;
};

export type PollState = {
  /** Of the round under way, from 1. */
  readonly round: number;
  readonly page: string | null;
  readonly next_page_at_ms: number;
};

/** How long after the first look-up that missed a device the second one comes. */
export function confirmAfterMs(pollIntervalMs: number): number {
  return Math.min(Math.max(pollIntervalMs / 12, 5_000), 300_000);
}

/** Not at the same time as all other brokers and integrations. */
const jittered = (ms: number) => Math.round(ms * (0.9 + 0.2 * Math.random()));

export function readPollState(
  sql: SqlStorage,
): (PollState & { integration_id: string }) | undefined {
  return sql
    .exec<PollState & { integration_id: string }>(
      'SELECT integration_id, round, page, next_page_at_ms FROM polling',
    )
    .toArray()[0];
}

/** Begins to poll where that has not begun. Without a watched device nobody is asked. */
export function beginPolling(
  sql: SqlStorage,
  integrationId: string,
  nowMs: number,
  pollIntervalMs: number,
): PollState {
  sql.exec(
    `INSERT INTO polling (id, integration_id, round, next_page_at_ms) VALUES (1, ?, 1, ?)
     ON CONFLICT (id) DO NOTHING`,
    integrationId,
    nowMs + jittered(pollIntervalMs),
  );
  const state = readPollState(sql);
  if (state === undefined) throw new Error('the state of polling was stored just now');
  return state;
}

function setPollState(sql: SqlStorage, { round, page, next_page_at_ms }: PollState): void {
  sql.exec(
    'UPDATE polling SET round = ?, page = ?, next_page_at_ms = ?',
    round,
    page,
    next_page_at_ms,
  );
}

/** When polling has something to do next; `undefined` while no device is watched. */
export function nextPollMs(sql: SqlStorage): number | undefined {
  const state = readPollState(sql);
  if (state === undefined || countWatched(sql).all === 0) return undefined;
  return Math.min(state.next_page_at_ms, nextLookUpMs(sql) ?? Number.POSITIVE_INFINITY);
}

/** Does what is due. What fails is due again later. */
export async function pollManagement(context: PollContext): Promise<void> {
  for (let page = 0; page < pagesAtOnce; page++) {
    if (!(await pollPage(context))) break;
  }
  await lookUpDue(context);
}

/** @returns whether there is another page to ask for at once */
async function pollPage(context: PollContext): Promise<boolean> {
  const { store, client, ask, now, log } = context;
  const state = store.read(readPollState);
  if (state === undefined || isUnavailable(state) || now() < state.next_page_at_ms) return false;
  if (hasNoDevices(store)) return false;
  const listed = await ask(() => client.listDevices(state.page ?? undefined));
  if (!listed.ok) {
    log('management_not_polled', describeFailure(listed));
    const againAtMs = now() + pauseOf(listed);
    // From the beginning: a place in a list does not outlive what the list was made of.
    await store.write((sql) =>
      setPollState(sql, { ...state, page: null, next_page_at_ms: againAtMs }),
    );
    return false;
  }
  const taken = await store.write((sql) => takePage(sql, context, state, listed.value));
  if (isUnavailable(taken)) return false;
  await tell(context, taken.untold);
  return taken.isMore;
}

/** What is not told stays untold, and comes again with the next round. */
async function tell(
  { store, reportPosture }: PollContext,
  untold: readonly UntoldReport[],
): Promise<void> {
  if (untold.length === 0) return;
  const told = await reportPosture(untold);
  await store.write((sql) => {
    for (const report of told) markTold(sql, report);
  });
}

type TakenPage = { readonly isMore: boolean; readonly untold: readonly UntoldReport[] };

function takePage(
  sql: SqlStorage,
  { now, pollIntervalMs, reportAgainAfterMs, log }: PollContext,
  { round, page }: PollState,
  { devices, next }: DevicePage,
): TakenPage {
  const nowMs = now();
  if (page === null && next === undefined && devices.length === 0) {
    log('management_not_polled', { reason: 'empty', detail: 'the list has no device at all' });
    setPollState(sql, { round, page, next_page_at_ms: nowMs + jittered(pollIntervalMs) });
    return { isMore: false, untold: [] };
  }
  const untold = latestOfEach(
    devices
      .filter(({ managed }) => managed)
      .flatMap((record) =>
        markMet(sql, record, round).flatMap(
          (watched) => untoldReport(watched, record, nowMs, reportAgainAfterMs) ?? [],
        ),
      ),
  );
  if (next !== undefined) {
    setPollState(sql, { round, page: next, next_page_at_ms: nowMs });
    return { isMore: true, untold };
  }
  lookUpUnmet(sql, round, nowMs, Math.ceil(confirmAfterMs(pollIntervalMs) / 2));
  const nextRoundMs = nowMs + Math.max(jittered(pollIntervalMs), pauseBetweenPagesMs);
  setPollState(sql, { round: round + 1, page: null, next_page_at_ms: nextRoundMs });
  return { isMore: false, untold };
}

function hasNoDevices(store: DurableStore): boolean {
  const count = store.read(countWatched);
  return isUnavailable(count) || count.all === 0;
}

async function lookUpDue(context: PollContext): Promise<void> {
  const due = context.store.read((sql) => dueLookUps(sql, context.now(), lookUpsAtOnce));
  if (isUnavailable(due)) return;
  await Promise.all(due.map((device) => lookUp(context, device)));
}

async function lookUp(context: PollContext, device: WatchedDevice): Promise<void> {
  const { store, client, ask, now, log, pollIntervalMs, reportAgainAfterMs } = context;
  const { device_id } = device;
  const found = await ask(() => client.findDevices(askedIdentityOf(device)));
  if (!found.ok) {
    log('device_not_looked_up', { device_id, ...describeFailure(found) });
    const againAtMs = now() + jittered(pauseOf(found));
    await store.write((sql) => postpone(sql, device_id, againAtMs));
    return;
  }
  const record = pickRecord(found.value, identityOf(device));
  let untold: UntoldReport | undefined;
  const verdict = await store.write((sql): 'met' | 'missed' | 'ended' | 'held' => {
    // As it is now: while the management was asked, the device may have been met, or have enrolled again.
    const { missed, missed_at_ms } = findMissed(sql, device_id) ?? device;
    if (record?.managed === true) {
      markMet(sql, record, device.round);
      // A record that spells things in another way is the device's all the same.
      postpone(sql, device_id, null);
      untold = untoldReport(device, record, now(), reportAgainAfterMs);
      return 'met';
    }
    const againAtMs = now() + confirmAfterMs(pollIntervalMs);
    const isSecond = missed >= 1 && now() >= missed_at_ms + confirmAfterMs(pollIntervalMs);
    if (missed === 0) markMissed(sql, device_id, now(), againAtMs);
    if (!isSecond) {
      postpone(sql, device_id, againAtMs);
      return 'missed';
    }
    if (isViewLost(sql)) {
      postpone(sql, device_id, now() + jittered(pollIntervalMs));
      return 'held';
    }
    postpone(sql, device_id, againAtMs);
    return 'ended';
  });
  if (isUnavailable(verdict)) return;
  if (verdict === 'met') return await tell(context, untold === undefined ? [] : [untold]);
  if (verdict === 'held') log('management_loss_held', { device_id });
  else log('device_missed', { device_id, verdict });
  if (verdict === 'ended') await end(context, device_id);
}

async function end({ store, endManagement, log }: PollContext, deviceId: string): Promise<void> {
  if (!(await endManagement(deviceId))) return;
  log('management_ended', { device_id: deviceId });
  // Not one that has enrolled again meanwhile.
  await store.write((sql) => {
    if ((findMissed(sql, deviceId)?.missed ?? 0) > 0) forgetDevice(sql, deviceId);
  });
}

function postpone(sql: SqlStorage, deviceId: string, atMs: number | null): void {
  sql.exec('UPDATE watched_devices SET look_up_at_ms = ? WHERE device_id = ?', atMs, deviceId);
}

/** More than half of several devices, missed by look-ups or not met in the last whole round. */
function isViewLost(sql: SqlStorage): boolean {
  const { missing, all } = sql
    .exec<{ missing: number; all: number }>(
      `SELECT count(*) FILTER (WHERE missed > 0 OR round < (SELECT round - 1 FROM polling)) AS missing,
         count(*) AS "all" FROM watched_devices`,
    )
    .one();
  return missing >= fewestForHold && missing * 2 > all;
}

/** Asks about a device soon because its management has told of it, unless it was asked a moment ago. */
export function hastenLookUp(
  sql: SqlStorage,
  device: WatchedDevice,
  nowMs: number,
  pollIntervalMs: number,
): void {
  const earliestMs =
    device.missed === 0 ? nowMs : device.missed_at_ms + confirmAfterMs(pollIntervalMs);
  lookUpBy(sql, device.device_id, Math.max(nowMs, earliestMs));
}

const pauseOf = ({ retryAfterSeconds }: MdmFailure) =>
  retryAfterSeconds === undefined ? pauseAfterFailureMs : retryAfterSeconds * 1000;

const describeFailure = ({ reason, detail }: MdmFailure) => ({ reason, detail });
