import { setTimeout as sleep } from 'node:timers/promises';
import { readRunRecord } from '../data-directory/data-directory-lock.ts';
import { takeFileLock } from '../data-directory/file-lock.ts';
import { type IssuerName, readIssuers } from '../data-directory/issuers.ts';
import type { DataDirectory } from '../data-directory/open-data-directory.ts';
import { createLog } from '../logs.ts';
import { isSameProcess } from '../process-identity.ts';
import type { BrokerAccess } from '../state/ask-broker.ts';
import { withBroker } from '../state/with-broker.ts';
import { findWorkerBundle } from '../worker-bundle.ts';
import { issuerRefused } from './issuer-error.ts';
import { issuerIdOf, sweepIssuerFiles } from './issuer-files.ts';
import {
  activateIssuer,
  type BrokerIssuer,
  type IssuerChange,
  listIssuers,
  retireIssuerAtBroker,
} from './issuer-standing.ts';
import { removeIssuer } from './retire-issuer.ts';

/** The steps of a rollover that need the broker. Each may be taken again when it was broken off. */

/** Where the broker of a data folder is asked. */
export type BrokerPlace =
  /** On this machine: through the server that runs on the folder, or a broker that runs for the command alone. */
  | { readonly at: 'folder'; readonly workerBundle: string | undefined }
  /** Elsewhere, with the owner token of the folder. */
  | { readonly at: 'url'; readonly url: string };

const servedWithinMs = 30_000;

/**
 * Changes which issuers there are, alone.
 *
 * @throws EdgeServerError `issuer_refused` when another command does so just now
 */
export async function withIssuerLock<Value>(
  data: DataDirectory,
  work: () => Promise<Value> | Value,
): Promise<Value> {
  const release = takeFileLock(data.paths.issuersLock);
  if (release === undefined) {
    throw issuerRefused('Another command is changing the issuers of this folder just now.');
  }
  try {
    return await work();
  } finally {
    release();
  }
}

async function ask<Value>(
  data: DataDirectory,
  place: BrokerPlace,
  nowMs: number,
  use: (access: BrokerAccess) => Promise<Value>,
): Promise<Value> {
  if (place.at === 'url') return await use({ url: place.url, ownerToken: data.ownerToken });
  const log = createLog(() => undefined, 'json', Date.now);
  const workerBundle = findWorkerBundle(place.workerBundle);
  return await withBroker(data, { workerBundle, log, nowMs }, use);
}

/** Until the broker's word on its issuers is this. Meanwhile it may be started anew, with other settings. */
async function waitFor(
  access: BrokerAccess,
  isSo: (issuers: readonly BrokerIssuer[]) => boolean,
): Promise<boolean> {
  const askedAt = performance.now();
  for (;;) {
    const isOverdue = performance.now() - askedAt > servedWithinMs;
    try {
      if (isSo(await listIssuers(access))) return true;
    } catch (error) {
      if (isOverdue) throw error;
    }
    if (isOverdue) return false;
    await sleep(200);
  }
}

/** Id of an issuer of the folder, as the broker names it. */
export function issuerIdIn(data: DataDirectory, name: IssuerName): string {
  return issuerIdOf(data.certificatePem(name));
}

function isServed(data: DataDirectory): boolean {
  const server = readRunRecord(data.paths.runRecord)?.server;
  return server !== undefined && isSameProcess(server);
}

/**
 * Waits until the server that runs on the folder trusts the issuers that are there now.
 *
 * @returns `no_server` when none runs; `not_yet` when it takes too long, of which its log says more
 */
export async function waitUntilTrusted(
  data: DataDirectory,
  name: IssuerName,
  place: BrokerPlace,
  nowMs: number,
): Promise<'trusted' | 'not_yet' | 'no_server'> {
  if (!isServed(data)) return 'no_server';
  const id = issuerIdIn(data, name);
  const isKnown = await ask(data, place, nowMs, (access) =>
    waitFor(access, (issuers) => issuers.some(({ issuer_id }) => issuer_id === id)),
  );
  return isKnown ? 'trusted' : 'not_yet';
}

export type IssuerStatus = {
  /** `undefined` for one that the broker has and the folder has not. */
  readonly name: IssuerName | undefined;
  readonly broker: BrokerIssuer | undefined;
};

/** The issuers of the folder beside what the broker says of them. */
export async function describeIssuers(
  data: DataDirectory,
  place: BrokerPlace,
  nowMs: number,
): Promise<readonly IssuerStatus[]> {
  const listed = await ask(data, place, nowMs, listIssuers);
  const { active } = readIssuers(data.paths);
  const ids = new Map(active.map((name) => [issuerIdIn(data, name), name]));
  const here = [...ids].map(([id, name]) => ({
    name,
    broker: listed.find(({ issuer_id }) => issuer_id === id),
  }));
  const elsewhere = listed.filter(({ issuer_id }) => !ids.has(issuer_id));
  return [...here, ...elsewhere.map((broker) => ({ name: undefined, broker }))];
}

/** @param name left out: the newest */
export async function activateIssuerOf(
  data: DataDirectory,
  name: IssuerName | undefined,
  place: BrokerPlace,
  nowMs: number,
): Promise<{ readonly name: IssuerName; readonly change: IssuerChange }> {
  const { active } = readIssuers(data.paths);
  const chosen = name ?? active.at(-1) ?? active[0];
  if (!active.includes(chosen)) {
    throw issuerRefused(`There is no issuer ${chosen}: there is ${active.join(' and ')}.`);
  }
  const change = await ask(data, place, nowMs, async (access) => {
    const id = issuerIdIn(data, chosen);
    await waitFor(access, (issuers) => issuers.some(({ issuer_id }) => issuer_id === id));
    return await activateIssuer(access, id);
  });
  return { name: chosen, change };
}

/** Unless a server runs that still reads them; that one sweeps itself. */
function sweepUnserved(data: DataDirectory): void {
  const release = takeFileLock(data.paths.lock);
  if (release === undefined) return;
  try {
    sweepIssuerFiles(data.paths, readIssuers(data.paths));
  } finally {
    release();
  }
}

/**
 * Ends the trust in an issuer: first the organization's word, then the folder's, then its key goes.
 *
 * @param override also while certificates of it would count
 * @throws EdgeServerError `broker_request_failed` with the broker's reason when something still depends on it
 */
export async function retireIssuer(
  data: DataDirectory,
  name: IssuerName,
  override: boolean,
  place: BrokerPlace,
  nowMs: number,
): Promise<IssuerChange> {
  const { active } = readIssuers(data.paths);
  if (!active.includes(name)) {
    throw issuerRefused(`There is no issuer ${name}: there is ${active.join(' and ')}.`);
  }
  if (active.length < 2) {
    throw issuerRefused(`${name} is the only issuer: prepare and activate another one first.`);
  }
  const id = issuerIdIn(data, name);
  const change = await ask(data, place, nowMs, (access) =>
    retireIssuerAtBroker(access, id, override),
  );
  removeIssuer(data, name);
  if (isServed(data)) {
    await ask(data, place, nowMs, (access) =>
      waitFor(access, (issuers) => !issuers.some(({ issuer_id }) => issuer_id === id)),
    );
  } else sweepUnserved(data);
  return change;
}

/** Whether some issuer waits for its certificate. */
export function awaitedIssuer(data: DataDirectory): IssuerName | undefined {
  return readIssuers(data.paths).requested;
}
