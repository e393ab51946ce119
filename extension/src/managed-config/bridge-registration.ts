import type { BrowserApi, ContentScript } from '../browser-api.ts';

/** The content script that stands between sign-in pages and the extension. Registered at run time, never in the manifest. */
export const bridgeScriptId = 'bridge';
const bridgeScriptFile = 'content-scripts/bridge.js';

/**
 * Match patterns for origins. Patterns carry no port, so that every port of a host gets the script; the exact origin
 * is checked again when a challenge arrives.
 */
export function matchPatternsFor(origins: readonly string[]): string[] {
  const patterns = origins.map((origin) => {
    const { protocol, hostname } = new URL(origin);
    return `${protocol}//${hostname}/*`;
  });
  return [...new Set(patterns)].sort();
}

/** Makes the registration fit the origins. Not safe to run twice at once: see `create-synchronizer.ts`. */
export async function applyBridgeRegistration(
  scripting: BrowserApi['scripting'],
  origins: readonly string[],
): Promise<void> {
  const [registered] = await scripting.getRegisteredContentScripts({ ids: [bridgeScriptId] });
  if (origins.length === 0) {
    if (registered !== undefined) {
      await scripting.unregisterContentScripts({ ids: [bridgeScriptId] });
    }
    return;
  }
  const script: ContentScript = {
    id: bridgeScriptId,
    js: [bridgeScriptFile],
    matches: matchPatternsFor(origins),
    runAt: 'document_start',
    allFrames: false,
    persistAcrossSessions: true,
  };
  // Updating in place leaves no moment in which a page loads without the script.
  if (registered === undefined) await scripting.registerContentScripts([script]);
  else await scripting.updateContentScripts([script]);
}

/**
 * Puts the script into the pages that are open already: they were loaded before the list was known, or have the script
 * of a version that an update has cut off. A page that has a working one keeps it (see `bridge.content.ts`).
 */
export async function bridgeOpenPages(
  { scripting, tabs }: Pick<BrowserApi, 'scripting' | 'tabs'>,
  origins: readonly string[],
): Promise<void> {
  if (origins.length === 0) return;
  const open = await tabs.query({ url: matchPatternsFor(origins) });
  const injections = open.map(async ({ id, url }) => {
    // The exact origin: other ports of the host are other sites, which only the pattern could not tell apart.
    if (id === undefined || url === undefined || !origins.includes(new URL(url).origin)) return;
    await scripting.executeScript({
      target: { tabId: id },
      files: [bridgeScriptFile],
      injectImmediately: true,
    });
  });
  // A tab that was closed or has gone elsewhere meanwhile needs nothing.
  await Promise.allSettled(injections);
}

/** Patterns on which the browser says it injects the script now. */
export async function registeredPatterns(
  scripting: Pick<BrowserApi['scripting'], 'getRegisteredContentScripts'>,
): Promise<readonly string[]> {
  const [registered] = await scripting.getRegisteredContentScripts({ ids: [bridgeScriptId] });
  return registered?.matches ?? [];
}
