/**
 * JSON (RFC 8259) that every reader reads alike, as I-JSON asks (RFC 7493 section 2): no object names a member twice,
 * no string holds half a surrogate pair, bytes are UTF-8 without a byte order mark. Two readers of one text with a
 * repeated member may see two different messages, and two texts that differ in a lone surrogate may become one.
 */
export type StrictJsonResult =
  | { readonly ok: true; readonly value: unknown }
  /** `detail` names what was wrong, without more of the text than a member's name. */
  | { readonly ok: false; readonly detail: string };

const refuse = (detail: string): StrictJsonResult => ({ ok: false, detail });

/** Parses text; see above for what is refused beyond what `JSON.parse` refuses. */
export function parseStrictJson(text: string): StrictJsonResult {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refuse('is not JSON');
  }
  const detail = findAmbiguity(text);
  return detail === undefined ? { ok: true, value } : refuse(detail);
}

// A byte order mark that is not ignored stays in the text, which then is not JSON.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Parses bytes, which must be well-formed UTF-8 without a byte order mark. */
export function parseStrictJsonBytes(bytes: Uint8Array): StrictJsonResult {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    return refuse('is not UTF-8');
  }
  return parseStrictJson(text);
}

/** In text that JSON.parse has accepted, braces outside of strings open and close objects and nothing else. */
const token = /"([^"\\]*(?:\\.[^"\\]*)*)"([ \t\r\n]*:)?|[{}]/gs;
const surrogateEscape = /\\u[dD][89a-fA-F]/;

function findAmbiguity(text: string): string | undefined {
  if (!text.isWellFormed()) return 'holds half a surrogate pair';
  const objects: Set<string>[] = [];
  for (const [found, content, colon] of text.matchAll(token)) {
    if (found === '{') objects.push(new Set());
    else if (found === '}') objects.pop();
    else if (content !== undefined) {
      const names = colon === undefined ? undefined : objects.at(-1);
      if (names === undefined && !surrogateEscape.test(content)) continue;
      const string = content.includes('\\') ? String(JSON.parse(`"${content}"`)) : content;
      if (!string.isWellFormed()) return 'holds half a surrogate pair';
      if (names?.has(string))
        return `names the member ${JSON.stringify(string.slice(0, 64))} twice`;
      names?.add(string);
    }
  }
  return undefined;
}
