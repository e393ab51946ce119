import { maxGroupMembers } from '@countersign/protocol/admin-integrations';
import { collect, refuseSyntax, refuseValue, type ScimResult } from './scim-result.ts';
import { type Email, maxEmails } from './user-profile.ts';

/**
 * Values as identity providers send them. Nothing of a request is ever used as the name of a member: objects are read
 * into maps, of which known names are asked for.
 */

const maxTextLength = 256;

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An object's members by their names in lower case: attribute names have no case (RFC 7643 section 2.1). */
export function membersOf(value: unknown, what: string): ScimResult<ReadonlyMap<string, unknown>> {
  if (!isObject(value)) return refuseSyntax(`${what} must be an object`);
  const members = new Map<string, unknown>();
  for (const [name, member] of Object.entries(value)) {
    const key = name.toLowerCase();
    if (members.has(key)) return refuseSyntax(`${what} names ${key.slice(0, 64)} twice`);
    members.set(key, member);
  }
  return { ok: true, value: members };
}

/**
 * A truth value, also as the text that Entra sends ("False"). Nothing else is one: what a language takes for true would
 * keep somebody who left.
 */
export function readBoolean(value: unknown, what: string): ScimResult<boolean> {
  if (typeof value === 'boolean') return { ok: true, value };
  const text = typeof value === 'string' ? value.toLowerCase() : undefined;
  if (text === 'true' || text === 'false') return { ok: true, value: text === 'true' };
  return refuseValue(`${what} must be true or false`);
}

/** A text that may be missing: `null` and an empty one take it away (RFC 7643 section 2.5). */
export function readText(value: unknown, what: string): ScimResult<string | undefined> {
  if (value === undefined || value === null || value === '') return { ok: true, value: undefined };
  return readRequiredText(value, what);
}

export function readRequiredText(value: unknown, what: string): ScimResult<string> {
  if (typeof value !== 'string') return refuseValue(`${what} must be a text`);
  if (value === '' || value.length > maxTextLength) {
    return refuseValue(`${what} must have 1 to ${maxTextLength} characters`);
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(value)) {
    return refuseValue(`${what} must have no control characters`);
  }
  return { ok: true, value };
}

/**
 * A text that tells people apart and decides nothing, as far as it can be kept: nobody stays active because a name is
 * malformed. `undefined` of what is no text.
 */
export function keepText(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  const text = value.replaceAll(/[\u0000-\u001f\u007f]/g, ' ').trim();
  // A character of two units is not cut in half.
  return text.slice(0, maxTextLength).replace(/[\ud800-\udbff]$/, '') || undefined;
}

function keepEmail(given: unknown): Email[] {
  const members = membersOf(isObject(given) ? given : { value: given }, 'an email');
  if (!members.ok) return [];
  const value = keepText(members.value.get('value'));
  if (value === undefined) return [];
  const type = keepText(members.value.get('type'));
  const primary = readBoolean(members.value.get('primary'), 'emails.primary');
  return [
    {
      value,
      ...(type === undefined ? {} : { type }),
      ...(primary.ok ? { primary: primary.value } : {}),
    },
  ];
}

/** A list of addresses, or one alone; those without an address are left out, and so are those beyond the most. */
export function keepEmails(value: unknown): Email[] {
  const given: unknown[] = Array.isArray(value) ? value : [value ?? []].flat();
  return given.slice(0, maxEmails).flatMap(keepEmail);
}

/** Ids of members, each once: a list of `{value}`, one alone, or texts. Whatever else is in them is not looked at. */
export function readMemberIds(value: unknown): ScimResult<string[]> {
  const given: unknown[] = Array.isArray(value) ? value : [value ?? []].flat();
  const ids = collect(
    given.map((member) => {
      const id = isObject(member) ? member.value : member;
      return typeof id === 'string' && id !== '' && id.length <= maxTextLength
        ? ({ ok: true, value: id } as const)
        : refuseValue('members must have a value: the id of a user');
    }),
  );
  if (!ids.ok) return ids;
  const unique = [...new Set(ids.value)];
  return unique.length > maxGroupMembers
    ? refuseValue(`members: at most ${maxGroupMembers}`)
    : { ok: true, value: unique };
}
