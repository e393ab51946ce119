import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cloudflareSecrets } from '../cloudflare-secrets.ts';
import {
  type DataDirectoryLock,
  lockDataDirectory,
} from '../data-directory/data-directory-lock.ts';
import { dataPaths } from '../data-directory/layout.ts';
import { type DataDirectory, ensureDataDirectory } from '../data-directory/open-data-directory.ts';
import { EdgeServerError } from '../edge-server-error.ts';
import type { EdgeServerOptions } from '../edge-server-options.ts';
import { beginRotation } from './begin-rotation.ts';
import { advance, defaultRotationTimes } from './rotate-token-keys.ts';
import { type RotationRequest, writeRotationRequest } from './rotation-request.ts';
import { readTokenKeys, sweepTokenKeys, writeTokenKeys } from './token-key-files.ts';
import { type TokenKeys, tokenKeyPurposes } from './token-keys.ts';

/** `countersign-server rotate-keys`: asks the server that runs on the folder, or does it in its place. */

type OpenOptions = Pick<EdgeServerOptions, 'dataDirectory' | 'brokerUrl'>;

const answerTimeoutMs = 15_000;

/** What the keys are now, one line for each purpose, for a person. */
export function describeTokenKeys(keys: TokenKeys): string {
  const time = (ms: number) => new Date(ms).toISOString();
  return tokenKeyPurposes
    .map((purpose) => {
      const { inUse, next, previous } = keys[purpose];
      const parts = [`${inUse.kid} in use since ${time(inUse.sinceMs)}`];
      if (next !== undefined)
        parts.push(`${next.kid} published, for use from ${time(next.useAtMs)}`);
      if (previous !== undefined) {
        parts.push(`${previous.kid} accepted until ${time(previous.retireAtMs)}`);
      }
      return `${purpose}: ${parts.join('; ')}`;
    })
    .join('\n');
}

/** Opens the data folder; unlike a start, makes none. */
async function openExisting(
  { dataDirectory, brokerUrl = 'http://127.0.0.1' }: OpenOptions,
  nowMs: number,
): Promise<DataDirectory> {
  const directory = resolve(dataDirectory);
  if (existsSync(dataPaths(directory).deployment)) {
    return await ensureDataDirectory(directory, { brokerUrl, nowMs });
  }
  throw new EdgeServerError(
    'data_directory_unusable',
    `There is no data folder ${directory}. Name it with --data or COUNTERSIGN_DATA.`,
  );
}

/** The lock, or `undefined` when a server has it. */
function tryLock(data: DataDirectory): DataDirectoryLock | undefined {
  try {
    return lockDataDirectory(data.directory, data.paths).lock;
  } catch (error) {
    if (error instanceof EdgeServerError && error.failure === 'data_directory_in_use') {
      return undefined;
    }
    throw error;
  }
}

async function askServer(data: DataDirectory, request: RotationRequest): Promise<string> {
  const { rotationRequest } = data.paths;
  writeRotationRequest(rotationRequest, request);
  const askedAt = performance.now();
  while (existsSync(rotationRequest)) {
    if (performance.now() - askedAt > answerTimeoutMs) {
      return 'The server has not taken the request yet. It does so when it can, or at its next start.';
    }
    await sleep(50);
  }
  return 'The server has taken the request.';
}

/**
 * Begins a rotation.
 *
 * @returns what has come of it, for a person
 * @throws EdgeServerError
 */
export async function rotateKeys(
  options: OpenOptions,
  request: RotationRequest,
  nowMs: number,
): Promise<string> {
  const data = await openExisting(options, nowMs);
  const lock = tryLock(data);
  if (lock === undefined) {
    const outcome = await askServer(data, request);
    return `${outcome}\n${describeTokenKeys(readTokenKeys(data.paths))}`;
  }
  try {
    const keys = readTokenKeys(data.paths);
    const begun = beginRotation(data.paths, keys, request, defaultRotationTimes, nowMs);
    if (begun !== keys) writeTokenKeys(data.paths, begun);
    return `No server runs on this folder: the next one goes on from here.\n${describeTokenKeys(begun)}`;
  } finally {
    lock.release();
  }
}

/** Cloudflare brings new secrets to its places within seconds; nobody says how many at most. */
const cloudflareTimes = { ...defaultRotationTimes, publishAtOnceMs: 10 * 60_000 };

/** When the next step is due, and `undefined` when no rotation is under way. */
function nextStepAt(keys: TokenKeys): number | undefined {
  const times = tokenKeyPurposes.flatMap((purpose) => {
    const { next, previous } = keys[purpose];
    return [next?.useAtMs, previous?.retireAtMs].filter((time) => time !== undefined);
  });
  return times.length === 0 ? undefined : Math.min(...times);
}

/** The step that is due: the next of a rotation under way, or else the first of a new one. */
function takeStep(
  data: DataDirectory,
  keys: TokenKeys,
  request: RotationRequest,
  nowMs: number,
): TokenKeys {
  const advanced = advance(keys, nowMs, Number.POSITIVE_INFINITY, cloudflareTimes);
  if (advanced !== keys) return advanced;
  const begun = beginRotation(data.paths, keys, request, cloudflareTimes, nowMs);
  const dueAt = nextStepAt(keys);
  if (dueAt === undefined || begun !== keys) return begun;
  throw new EdgeServerError(
    'setting_invalid',
    `Nothing is due before ${new Date(dueAt).toISOString()}.\n${describeTokenKeys(keys)}`,
  );
}

export type CloudflareStep = {
  /** For `wrangler secret bulk`, which sets all of them in one step; `null` takes a secret away. */
  readonly secrets: Readonly<Record<string, string | null>>;
  /** For a person: what has been done, and when to come again. */
  readonly report: string;
};

/**
 * Takes the next step of a rotation for a broker on Cloudflare, whose keys are in this folder.
 *
 * @throws EdgeServerError `setting_invalid` when nothing is due
 */
export async function rotateCloudflareKeys(
  options: EdgeServerOptions,
  request: RotationRequest,
  nowMs: number,
): Promise<CloudflareStep> {
  const data = await openExisting(options, nowMs);
  const before = await cloudflareSecrets(options, nowMs);
  const { lock } = lockDataDirectory(data.directory, data.paths);
  let keys: TokenKeys;
  try {
    const current = readTokenKeys(data.paths);
    keys = takeStep(data, current, request, nowMs);
    writeTokenKeys(data.paths, keys);
  } finally {
    lock.release();
  }
  const after = await cloudflareSecrets(options, nowMs);
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  const changed = [...names].filter((name) => before[name] !== after[name]);
  sweepTokenKeys(data.paths, keys);
  const dueAt = nextStepAt(keys);
  const again =
    dueAt === undefined
      ? 'The rotation is complete.'
      : `Come again after ${new Date(dueAt).toISOString()}, with the same command.`;
  return {
    secrets: Object.fromEntries(changed.map((name) => [name, after[name] ?? null])),
    report: `Set these with "wrangler secret bulk" now. ${again}\n${describeTokenKeys(keys)}`,
  };
}
