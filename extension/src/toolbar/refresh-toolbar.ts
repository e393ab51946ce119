import type { BrowserApi } from '../browser-api.ts';
import { gatherFacts } from '../diagnostics/browser-facts.ts';
import { diagnose } from '../diagnostics/diagnose.ts';
import { messageOf } from '../native-host/browser-errors.ts';
import type { NativeHost } from '../native-host/native-host.ts';
import { showInToolbar } from './show-in-toolbar.ts';

/** A page may ask as often as it likes, and looking at the host is a process each time. */
const leastPauseMs = 5_000;

/**
 * Makes the function that brings the button in the toolbar up to date: at once, or when the last time was too recent,
 * a little later and once for all calls. Never throws.
 */
export function createToolbarRefresher(
  api: BrowserApi,
  host: Pick<NativeHost, 'status'>,
  log: (line: string) => void,
  now: () => Date,
): () => void {
  let waiting = false;
  let earliestMs = Number.NEGATIVE_INFINITY;

  async function refresh(): Promise<void> {
    waiting = false;
    earliestMs = performance.now() + leastPauseMs;
    try {
      await showInToolbar(api.action, diagnose(await gatherFacts(api, host, now())));
    } catch (error) {
      log(`the toolbar shows what it showed before: ${messageOf(error)}`);
    }
  }

  return () => {
    if (waiting) return;
    waiting = true;
    setTimeout(() => void refresh(), Math.max(0, earliestMs - performance.now()));
  };
}
