import type { BrowserApi } from '../browser-api.ts';
import type { NativeHost } from '../native-host/native-host.ts';
import {
  readAppliedOrigins,
  writeAppliedOrigins,
  writeRegisteredOrigins,
} from './applied-origins.ts';
import {
  applyBridgeRegistration,
  bridgeOpenPages,
  matchPatternsFor,
  registeredPatterns,
} from './bridge-registration.ts';
import { chooseOrigins, type OriginsChoice } from './choose-origins.ts';
import { readManagedStorage } from './read-managed-storage.ts';

/** Runs a synchronization that starts after the call and resolves when it is done. */
export type Synchronize = () => Promise<OriginsChoice>;

/**
 * Makes the one function that brings the registration in line with policy. Start-up, installation and changes of
 * policy fire together; runs follow each other, because two at once leave pages without the script, and calls that
 * arrive while one waits share it. When no list of origins can be had, nothing is changed.
 */
export function createSynchronizer(
  api: Pick<BrowserApi, 'storage' | 'scripting' | 'tabs'>,
  host: Pick<NativeHost, 'status'>,
): Synchronize {
  let running: Promise<unknown> = Promise.resolve();
  let waiting: Promise<OriginsChoice> | undefined;

  /**
   * An update of the extension takes its registered scripts away, and managed storage lets itself be waited for: what
   * was applied last holds meanwhile.
   */
  async function restoreRegistration(): Promise<void> {
    const applied = await readAppliedOrigins(api.storage);
    if (applied === undefined) return;
    const patterns = await registeredPatterns(api.scripting);
    if (matchPatternsFor(applied.origins).every((pattern) => patterns.includes(pattern))) return;
    await applyBridgeRegistration(api.scripting, applied.origins);
    await bridgeOpenPages(api, applied.origins);
  }

  async function synchronizeOnce(): Promise<OriginsChoice> {
    await restoreRegistration();
    const choice = await chooseOrigins(await readManagedStorage(api.storage), host);
    if (!choice.ok) return choice;
    // First the list, then the scripts: a page must not meet a script whose challenge would still be refused.
    await writeAppliedOrigins(api.storage, choice);
    await applyBridgeRegistration(api.scripting, choice.origins);
    await writeRegisteredOrigins(api.storage, choice.origins);
    await bridgeOpenPages(api, choice.origins);
    return choice;
  }

  return () => {
    if (waiting !== undefined) return waiting;
    const run = running.then(() => {
      waiting = undefined;
      return synchronizeOnce();
    });
    waiting = run;
    running = run.catch(() => undefined);
    return run;
  };
}
