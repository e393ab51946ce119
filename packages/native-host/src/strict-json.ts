import * as strict from '@countersign/protocol/strict-json';
import { fail, type Result, succeed } from './result.ts';

/** JSON that every reader reads alike; see `@countersign/protocol/strict-json`. */
export function parseStrictJson(text: string): Result<unknown, 'json_malformed'> {
  return resultOf(strict.parseStrictJson(text));
}

/** The same from bytes, which must be well-formed UTF-8 without a byte order mark. */
export function parseStrictJsonBytes(bytes: Uint8Array): Result<unknown, 'json_malformed'> {
  return resultOf(strict.parseStrictJsonBytes(bytes));
}

function resultOf(parsed: strict.StrictJsonResult): Result<unknown, 'json_malformed'> {
  return parsed.ok ? succeed(parsed.value) : fail('json_malformed', parsed.detail);
}
