import type { UnavailableCode } from '@countersign/protocol';
import type { NativeHost } from '../native-host/native-host.ts';
import type { ManagedStorageReading } from './read-managed-storage.ts';

export type OriginsSource = 'managed_storage' | 'native_host';

export type OriginsChoice =
  | { readonly ok: true; readonly source: OriginsSource; readonly origins: readonly string[] }
  | {
      readonly ok: false;
      readonly reason: 'managed_storage_malformed';
      readonly field: string;
      readonly detail: string;
    }
  | { readonly ok: false; readonly reason: 'managed_storage_unreadable'; readonly detail: string }
  | {
      readonly ok: false;
      readonly reason: 'host_unavailable';
      readonly code: UnavailableCode;
      readonly detail: string;
    };

/**
 * On which origins to listen: those of managed storage; where it is empty, those of the host's own list. A malformed
 * managed storage does not fall back, so that a typing error in a policy shows instead of changing where we listen.
 */
export async function chooseOrigins(
  reading: ManagedStorageReading,
  host: Pick<NativeHost, 'status'>,
): Promise<OriginsChoice> {
  switch (reading.state) {
    case 'set':
      return { ok: true, source: 'managed_storage', origins: distinct(reading.config.origins) };
    case 'malformed':
      return {
        ok: false,
        reason: 'managed_storage_malformed',
        field: reading.field,
        detail: reading.detail,
      };
    case 'unreadable':
      return { ok: false, reason: 'managed_storage_unreadable', detail: reading.detail };
    case 'empty': {
      const answer = await host.status();
      return answer.ok
        ? { ok: true, source: 'native_host', origins: distinct(answer.status.origins) }
        : { ok: false, reason: 'host_unavailable', code: answer.code, detail: answer.detail };
    }
  }
}

function distinct(origins: readonly string[]): readonly string[] {
  return [...new Set(origins)];
}
