import { isDeepStrictEqual } from 'node:util';
import { decisionPage } from '@countersign/protocol/admin';
import { readKeySet } from '../data-directory/key-set.ts';
import type { DataDirectory } from '../data-directory/open-data-directory.ts';
import { EdgeServerError, errorText } from '../edge-server-error.ts';
import type { Log } from '../logs.ts';
import { askBroker, type BrokerAccess } from './ask-broker.ts';
import { findLosses, type HashAt, isPristine } from './find-losses.ts';
import {
  type HighWaterMark,
  markOf,
  readHighWaterMark,
  writeHighWaterMark,
} from './high-water-mark.ts';
import { readMarks } from './read-marks.ts';

/** The state as it is on the disk now. The key set first: it must not be newer than the rest. */
export async function readState(
  access: BrokerAccess,
  data: DataDirectory,
  previous?: HighWaterMark,
): Promise<HighWaterMark> {
  const { version } = readKeySet(data.paths.keySet).claims;
  return markOf(await readMarks(access), version, previous);
}

export function hashIn(access: BrokerAccess): HashAt {
  return async (shard, sequence) => {
    const path = `/v1/admin/shards/${shard}/decisions?after=${sequence - 1}&limit=1`;
    return (await askBroker(access, decisionPage, path)).decisions[0]?.hash;
  };
}

/** How an older copy is told, to whoever started the server. */
export function describeLosses(path: string, losses: readonly string[]): string {
  const most = 20;
  return [
    `The data folder is older than the state that was last seen (${path}), as after restoring a backup. Served as it is, what was revoked, blocked or spent since would count again. What is missing:`,
    ...losses.slice(0, most).map((loss) => `  ${loss}`),
    ...(losses.length > most ? [`  and ${losses.length - most} more`] : []),
    'If this is a mistake, put the newest data folder back. If you want the older state: countersign-server confirm-restore.',
  ].join('\n');
}

export type MarkOptions = {
  readonly path: string;
  readonly access: BrokerAccess;
  readonly data: DataDirectory;
  readonly log: Log;
};

/**
 * Compares the state with the mark before anything is served, and brings the mark up to it.
 *
 * @throws EdgeServerError `state_older_than_mark`, or `high_water_mark_unusable`
 */
export async function checkHighWaterMark(options: MarkOptions): Promise<HighWaterMark> {
  const { path, access, data, log } = options;
  const marked = readHighWaterMark(path);
  const state = await readState(access, data, marked);
  if (marked === undefined && !data.created) {
    log.write(
      'warning',
      'high_water_mark_missing',
      `there was no ${path}: whether the data folder is an older copy could not be told this time`,
    );
  }
  const isLeftOver =
    marked !== undefined && marked.organization_id !== state.organization_id && isPristine(state);
  if (isLeftOver) {
    log.write(
      'warning',
      'high_water_mark_replaced',
      `${path} was of another organization (${marked.organization_id}) and is of this new, empty one now`,
    );
  } else if (marked !== undefined) {
    const losses = await findLosses(marked, state, hashIn(access));
    if (losses.length > 0) {
      throw new EdgeServerError('state_older_than_mark', describeLosses(path, losses));
    }
  }
  if (!isDeepStrictEqual(marked, state)) writeHighWaterMark(path, state);
  return state;
}

const shortestIntervalMs = 10_000;
const intervalPerShardMs = 50;

/**
 * Refuses a state that is older than the mark, and keeps the mark up to date from then on.
 *
 * @param options `path` undefined: there is to be no mark
 * @returns writes the last one and ends it
 * @throws EdgeServerError `state_older_than_mark`, or `high_water_mark_unusable`
 */
export async function watchState(
  options: Omit<MarkOptions, 'path'> & {
    readonly path: string | undefined;
    readonly intervalMs: number | undefined;
    readonly onOlder: () => void;
  },
): Promise<() => Promise<void>> {
  const { path, data } = options;
  if (path === undefined) {
    // Also says whether all databases are of this version.
    await readMarks(options.access);
    return async () => undefined;
  }
  const first = await checkHighWaterMark({ ...options, path });
  const { shardCount } = data.deployment;
  const intervalMs =
    options.intervalMs ?? Math.max(shortestIntervalMs, shardCount * intervalPerShardMs);
  return keepHighWaterMark({ ...options, path, first, intervalMs });
}

/** Failures in a row that are told: one comes with each restart of workerd. */
const failuresToTell = 3;
/** A broker that hangs does not keep the server from ending. */
const lastTimeoutMs = 1_000;

/**
 * Keeps the mark at the newest state while the server runs.
 *
 * @param onOlder called once when the state has become older under the running server; the mark is left alone then
 * @returns writes the last one and ends it
 */
export function keepHighWaterMark(
  options: MarkOptions & {
    readonly first: HighWaterMark;
    readonly intervalMs: number;
    readonly onOlder: () => void;
  },
): () => Promise<void> {
  const { path, data, log, intervalMs, onOlder } = options;
  const ending = new AbortController();
  let access: BrokerAccess = { ...options.access, signal: ending.signal };
  let written = options.first;
  let failures = 0;
  let ended = false;
  let isOlder = false;

  const keep = async (): Promise<void> => {
    const state = await readState(access, data, written);
    if (isOlder || isDeepStrictEqual(written, state)) return;
    const losses = await findLosses(written, state, hashIn(access));
    if (losses.length > 0) {
      isOlder = true;
      log.write('error', 'state_older_than_mark', describeLosses(path, losses));
      onOlder();
      return;
    }
    writeHighWaterMark(path, state);
    written = state;
  };
  const keepAndTell = async (): Promise<void> => {
    try {
      await keep();
      failures = 0;
    } catch (error) {
      failures += 1;
      if (failures === failuresToTell) {
        log.write('error', 'high_water_mark_not_kept', errorText(error));
      }
    }
  };

  let last = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  const schedule = () => {
    timer = setTimeout(() => {
      last = keepAndTell().then(() => {
        if (!ended) schedule();
      });
    }, intervalMs);
    timer.unref();
  };
  schedule();
  return async () => {
    ended = true;
    clearTimeout(timer);
    ending.abort();
    await last;
    access = { ...options.access, timeoutMs: lastTimeoutMs };
    failures = failuresToTell - 1;
    await keepAndTell();
  };
}
