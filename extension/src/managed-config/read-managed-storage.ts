import { type ManagedConfig, managedConfig } from '@countersign/protocol/managed-config';
import { parseFields } from '@countersign/protocol/schemas';
import type { BrowserApi } from '../browser-api.ts';
import { messageOf } from '../native-host/browser-errors.ts';

/** What browser policy says about this extension. */
export type ManagedStorageReading =
  | { readonly state: 'set'; readonly config: ManagedConfig }
  /** Policy sets nothing, the browser has not loaded it yet, or the browser has no managed storage (Safari). */
  | { readonly state: 'empty' }
  | { readonly state: 'malformed'; readonly field: string; readonly detail: string }
  | { readonly state: 'unreadable'; readonly detail: string };

/**
 * Reads `storage.managed`. Chromium gives `{}` until a first installation has seen the policy (seconds later,
 * announced by `storage.onChanged`), and blocks for seconds after every later start: never await it to answer a page.
 */
export async function readManagedStorage(
  storage: Pick<BrowserApi['storage'], 'managed'>,
): Promise<ManagedStorageReading> {
  if (storage.managed === undefined) return { state: 'empty' };
  let items: Record<string, unknown>;
  try {
    items = await storage.managed.get(null);
  } catch (error) {
    const detail = messageOf(error);
    // Firefox's word for "policy sets nothing".
    if (detail.includes('Managed storage manifest not found')) return { state: 'empty' };
    return { state: 'unreadable', detail };
  }
  if (Object.keys(items).length === 0) return { state: 'empty' };
  const parsed = parseFields(managedConfig, items);
  return parsed.ok
    ? { state: 'set', config: parsed.value }
    : { state: 'malformed', field: parsed.field, detail: parsed.detail };
}
