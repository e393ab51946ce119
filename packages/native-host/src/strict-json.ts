import { isUtf8 } from 'node:buffer';
import { fail, type Result, succeed } from './result.ts';

/**
 * JSON (RFC 8259) in which no object names a member twice. Two readers of one text with a repeated member may see two
 * different messages, which is how a signed token comes to mean one thing to the checker and another to the user.
 */
export function parseStrictJson(text: string): Result<unknown, 'json_malformed'> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return fail('json_malformed', 'is not JSON');
  }
  const repeated = findRepeatedMember(text);
  return repeated === undefined
    ? succeed(value)
    : fail('json_malformed', `names the member ${JSON.stringify(repeated.slice(0, 64))} twice`);
}

/** The same from bytes, which must be well-formed UTF-8 without a byte order mark. */
export function parseStrictJsonBytes(bytes: Uint8Array): Result<unknown, 'json_malformed'> {
  if (!isUtf8(bytes)) return fail('json_malformed', 'is not UTF-8');
  return parseStrictJson(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString());
}

/** In text that JSON.parse has accepted, braces outside of strings open and close objects and nothing else. */
const token = /"([^"\\]*(?:\\.[^"\\]*)*)"([ \t\r\n]*:)?|[{}]/gs;

function findRepeatedMember(text: string): string | undefined {
  const objects: Set<string>[] = [];
  for (const [found, , colon] of text.matchAll(token)) {
    if (found === '{') objects.push(new Set());
    else if (found === '}') objects.pop();
    else if (colon !== undefined) {
      const name: unknown = JSON.parse(found.slice(0, found.lastIndexOf('"') + 1));
      const names = objects.at(-1);
      if (typeof name !== 'string' || names === undefined) continue;
      if (names.has(name)) return name;
      names.add(name);
    }
  }
  return undefined;
}
