import type { HostStatus } from '@countersign/protocol/native-messages';
import type { BrowserApi } from '../browser-api.ts';
import { type LastAnswer, readLastAnswer } from '../challenge/last-answer.ts';
import { type AppliedOrigins, readAppliedOrigins } from '../managed-config/applied-origins.ts';
import { matchPatternsFor, registeredPatterns } from '../managed-config/bridge-registration.ts';
import {
  type ManagedStorageReading,
  readManagedStorage,
} from '../managed-config/read-managed-storage.ts';
import { messageOf } from '../native-host/browser-errors.ts';
import type { HostFailure, NativeHost } from '../native-host/native-host.ts';

/** Everything that the popup's diagnosis rests on. */
export type BrowserFacts = {
  readonly now: Date;
  readonly extensionVersion: string;
  /** `pending` while a starting browser still holds its policy back. */
  readonly managedStorage: ManagedStorageReading | { readonly state: 'pending' };
  readonly host: { readonly ok: true; readonly status: HostStatus } | HostFailure;
  readonly applied: AppliedOrigins | undefined;
  /** Match patterns on which the browser injects the content script. */
  readonly registeredPatterns: readonly string[];
  /** Those of the applied patterns on which the browser keeps the script out all the same. */
  readonly patternsWithoutAccess: readonly string[];
  readonly lastAnswer: LastAnswer | undefined;
};

/** How long a person who opened the popup waits for managed storage, which a starting browser blocks for seconds. */
const policyWaitMs = 400;

/** Gathers the facts anew; nothing in the browser is changed. */
export async function gatherFacts(
  api: BrowserApi,
  host: Pick<NativeHost, 'status'>,
  now: Date,
): Promise<BrowserFacts> {
  const [managedStorage, status, applied, patterns, lastAnswer] = await Promise.all([
    orPending(readManagedStorage(api.storage)),
    host.status(),
    readAppliedOrigins(api.storage),
    registeredPatterns(api.scripting).catch((error: unknown) => {
      console.warn(`no list of registered scripts: ${messageOf(error)}`);
      return [];
    }),
    readLastAnswer(api.storage),
  ]);
  const wanted = matchPatternsFor(applied?.origins ?? []);
  const granted = await Promise.all(wanted.map((pattern) => hasAccess(api, pattern)));
  return {
    now,
    extensionVersion: api.runtime.getManifest().version,
    managedStorage,
    host: status,
    applied,
    registeredPatterns: patterns,
    patternsWithoutAccess: wanted.filter((_, index) => granted[index] === false),
    lastAnswer,
  };
}

/** A browser that cannot say is not made out to refuse. */
async function hasAccess(api: Pick<BrowserApi, 'permissions'>, pattern: string): Promise<boolean> {
  return await api.permissions.contains({ origins: [pattern] }).catch(() => true);
}

async function orPending(
  reading: Promise<ManagedStorageReading>,
): Promise<BrowserFacts['managedStorage']> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const pending = new Promise<{ readonly state: 'pending' }>((resolve) => {
    timer = setTimeout(() => resolve({ state: 'pending' }), policyWaitMs);
  });
  try {
    return await Promise.race([reading, pending]);
  } finally {
    clearTimeout(timer);
  }
}
