import type { Filter } from 'scim2-parse-filter';
import { parseFilter } from './parse-filter.ts';
import { refusePath, type ScimResult } from './scim-result.ts';

/** A path of a PATCH operation (RFC 7644 figure 7): `attribute`, `attribute.sub`, `attribute[filter].sub`. */
export type ScimPath = {
  /** In lower case; `undefined` for one of a schema that is not known here. */
  readonly attribute: string | undefined;
  readonly filter: Filter | undefined;
  /** In lower case. */
  readonly sub: string | undefined;
};

export const userSchema = 'urn:ietf:params:scim:schemas:core:2.0:User';
export const groupSchema = 'urn:ietf:params:scim:schemas:core:2.0:Group';
const coreSchemas = [userSchema, groupSchema].map((schema) => schema.toLowerCase());

const maxPathLength = 1024;
const attributeName = /^[a-z$][\w$-]*$/i;

/** A name without the URN of a core schema; `undefined` with that of another. */
export function withoutSchema(name: string): string | undefined {
  const lower = name.toLowerCase();
  if (!lower.startsWith('urn:')) return name;
  const schema = coreSchemas.find((core) => lower.startsWith(`${core}:`));
  return schema === undefined ? undefined : name.slice(schema.length + 1);
}

/** Whether a member's name is a core schema itself: its value has attributes. */
export const isCoreSchema = (name: string): boolean => coreSchemas.includes(name.toLowerCase());

/** A core schema, and then no colon: a slip, of which nobody is to think that it changed something. */
export const isMisspelledCorePath = (text: string): boolean => {
  const lower = text.trim().toLowerCase();
  return coreSchemas.some((core) => lower === core || lower.startsWith(`${core}.`));
};

export function parsePath(text: string): ScimResult<ScimPath> {
  if (text.length > maxPathLength || isMisspelledCorePath(text)) return refusePath(text);
  const known = withoutSchema(text.trim());
  if (known === undefined) {
    return { ok: true, value: { attribute: undefined, filter: undefined, sub: undefined } };
  }
  const open = known.indexOf('[');
  const close = known.lastIndexOf(']');
  if (open === -1) return readNames(known, text, undefined);
  if (close < open) return refusePath(text);
  const filter = parseFilter(known.slice(open + 1, close));
  if (!filter.ok) return refusePath(text);
  return readNames(known.slice(0, open) + known.slice(close + 1), text, filter.value);
}

function readNames(names: string, text: string, filter: Filter | undefined): ScimResult<ScimPath> {
  const [attribute = '', sub, ...rest] = names.split('.');
  const isWrong =
    !attributeName.test(attribute) ||
    (sub !== undefined && !attributeName.test(sub)) ||
    rest.length > 0;
  if (isWrong) return refusePath(text);
  return {
    ok: true,
    value: { attribute: attribute.toLowerCase(), filter, sub: sub?.toLowerCase() },
  };
}
