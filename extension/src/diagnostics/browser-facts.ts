import type { HostStatus } from '@countersign/protocol/native-messages';
import type { BrowserApi } from '../browser-api.ts';
import { type LastAnswer, readLastAnswer } from '../challenge/last-answer.ts';
import { type AppliedOrigins, readAppliedOrigins } from '../managed-config/applied-origins.ts';
import { registeredPatterns } from '../managed-config/bridge-registration.ts';
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
  return {
    now,
    extensionVersion: api.runtime.getManifest().version,
    managedStorage,
    host: status,
    applied,
    registeredPatterns: patterns,
    lastAnswer,
  };
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
