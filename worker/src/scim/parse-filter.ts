import { type Filter, parse } from 'scim2-parse-filter';
import { refuseFilter, type ScimResult } from './scim-result.ts';

/**
 * Filters (RFC 7644 section 3.4.2.2), read by scim2-parse-filter behind what it lacks. Its pattern for texts takes
 * exponential time for line breaks in one that does not end, it calls itself for each bracket, and it reads escapes in
 * texts as they stand: so control characters, long and deep filters are refused first, and escapes resolved.
 */

const maxFilterLength = 1024;
const maxDepth = 8;
const maxTerms = 32;

/** Brackets, `not` and `and`/`or` outside of texts. */
const outside = /"(?:[^"\\]|\\.)*"|([([])|\b(not|and|or)\b/gi;

function isModest(text: string): boolean {
  let depth = 0;
  let terms = 1;
  for (const [, bracket, word] of text.matchAll(outside)) {
    if (bracket !== undefined || word?.toLowerCase() === 'not') depth += 1;
    else if (word !== undefined) terms += 1;
  }
  return depth <= maxDepth && terms <= maxTerms;
}

/** @returns the filter as scim2-parse-filter has it; `[]` is a filter of one value of a list */
export function parseFilter(text: string): ScimResult<Filter> {
  if (text.length > maxFilterLength) {
    return refuseFilter(`must have at most ${maxFilterLength} characters`);
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(text)) return refuseFilter('must have no control characters');
  if (!isModest(text)) return refuseFilter('is too deep or has too many terms');
  if (/\\[^"\\/]/.test(text.replaceAll('\\\\', ''))) {
    // "DOMAIN\user" is sent unescaped, and means what it looks like; `\u0041` is sent by nobody.
    if (/\\u[0-9a-f]{4}/i.test(text)) return refuseFilter('must have no \\u escapes');
  }
  try {
    return { ok: true, value: parse(text.replaceAll('\\\\', '\\').replaceAll('\\/', '/')) };
  } catch {
    return refuseFilter('is no filter');
  }
}
