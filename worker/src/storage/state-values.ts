import { decodeBase64url, encodeBase64url } from '@countersign/protocol';
import type { StateRow, StateValue } from '@countersign/protocol/state';

/** Stored values as JSON has them, and back. */

export function encodeValue(value: SqlStorageValue): StateValue {
  return value instanceof ArrayBuffer ? { bytes: encodeBase64url(new Uint8Array(value)) } : value;
}

export function decodeValue(value: StateValue): SqlStorageValue {
  if (value === null || typeof value !== 'object') return value;
  const bytes = decodeBase64url(value.bytes);
  if (bytes === undefined) throw new TypeError('a value is not base64url');
  return bytes.slice().buffer;
}

export function encodeRow(row: Readonly<Record<string, SqlStorageValue>>): StateRow {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, encodeValue(value)]));
}

/** About how many bytes of JSON the row will take. */
export function weightOf(row: StateRow): number {
  return Object.entries(row).reduce((sum, [name, value]) => {
    const text = value !== null && typeof value === 'object' ? value.bytes : String(value);
    return sum + name.length + text.length + 16;
  }, 0);
}

/** Where the next page goes on: the key of the last row of this one. Opaque to whoever passes it back. */
export function encodeCursor(key: readonly StateValue[]): string {
  return encodeBase64url(new TextEncoder().encode(JSON.stringify(key)));
}
