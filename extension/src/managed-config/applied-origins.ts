import { parseFields, secureWebOrigin } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';
import type { BrowserApi } from '../browser-api.ts';
import type { OriginsSource } from './choose-origins.ts';

/**
 * The origins that were last applied, kept in `storage.local`: a service worker that a page has just woken must not
 * wait for managed storage, which a starting browser holds back for seconds.
 */
export type AppliedOrigins = {
  readonly origins: readonly string[];
  readonly source: OriginsSource;
};

const storageKey = 'applied_origins';
const appliedOriginsSchema = z.object({
  origins: z.array(secureWebOrigin),
  source: z.enum(['managed_storage', 'native_host']),
});

/** `undefined` until something was applied, or when what is stored cannot be read. */
export async function readAppliedOrigins(
  storage: Pick<BrowserApi['storage'], 'local'>,
): Promise<AppliedOrigins | undefined> {
  const items = await storage.local.get(storageKey);
  const parsed = parseFields(appliedOriginsSchema, items[storageKey]);
  return parsed.ok ? parsed.value : undefined;
}

export async function writeAppliedOrigins(
  storage: Pick<BrowserApi['storage'], 'local'>,
  { origins, source }: AppliedOrigins,
): Promise<void> {
  await storage.local.set({ [storageKey]: { origins: [...origins], source } });
}

/** Says that the scripts have followed the list. Nobody reads it: that it changes tells an open popup to look again. */
export async function writeRegisteredOrigins(
  storage: Pick<BrowserApi['storage'], 'local'>,
  origins: readonly string[],
): Promise<void> {
  await storage.local.set({ registered_origins: [...origins] });
}

/**
 * Hides `storage.local` from content scripts, and so from a compromised page process, in browsers that can
 * (Chromium 102 and later).
 */
export async function hideFromContentScripts(storage: { readonly local: object }): Promise<void> {
  const { local } = storage;
  if (!('setAccessLevel' in local) || typeof local.setAccessLevel !== 'function') return;
  await local.setAccessLevel({ accessLevel: 'TRUSTED_CONTEXTS' });
}
