import { isObject, membersOf } from './attribute-values.ts';
import { isCoreSchema, isMisspelledCorePath, parsePath, type ScimPath } from './parse-path.ts';
import { refusePath, refuseSyntax, type ScimResult } from './scim-result.ts';

/** One attribute of a PATCH operation, whichever of the ways it was sent in. */
export type ScimOperation = {
  readonly op: 'add' | 'remove' | 'replace';
  readonly path: ScimPath;
  /** Of `remove`, where it names values, as Entra does it. */
  readonly value: unknown;
};

const maxOperations = 1_000;

/**
 * The operations of a PATCH (RFC 7644 section 3.5.2) in their order. Without a path, a value's members are paths
 * themselves: Okta sends `{active: false}` so, Entra `{"name.givenName": …}`. Names of operations have no case, and the
 * `schemas` of the message may be missing.
 */
export function readOperations(body: unknown): ScimResult<ScimOperation[]> {
  const members = membersOf(body, 'the body');
  if (!members.ok) return members;
  const given = members.value.get('operations');
  if (!Array.isArray(given) || given.length === 0 || given.length > maxOperations) {
    return refuseSyntax(`Operations must be a list of 1 to ${maxOperations}`);
  }
  const operations: ScimOperation[] = [];
  for (const each of given) {
    const read = readOperation(each);
    if (!read.ok) return read;
    operations.push(...read.value);
  }
  return { ok: true, value: operations };
}

function readOperation(given: unknown): ScimResult<ScimOperation[]> {
  const members = membersOf(given, 'an operation');
  if (!members.ok) return members;
  const name = members.value.get('op');
  const op = typeof name === 'string' ? name.toLowerCase() : undefined;
  if (op !== 'add' && op !== 'remove' && op !== 'replace') {
    return refuseSyntax('op must be add, remove or replace');
  }
  const path = members.value.get('path');
  const value = members.value.get('value');
  if (typeof path === 'string' && path !== '') {
    const parsed = parsePath(path);
    return parsed.ok ? { ok: true, value: [{ op, path: parsed.value, value }] } : parsed;
  }
  if (path !== undefined && path !== null && path !== '') return refusePath(String(path));
  // RFC 7644 section 3.5.2.2: without a path nothing can be removed.
  if (op === 'remove') return refuseSyntax('remove must have a path');
  return readPathless(op, value);
}

function readPathless(op: 'add' | 'replace', value: unknown): ScimResult<ScimOperation[]> {
  if (!isObject(value)) return refuseSyntax('without a path, value must be an object');
  const operations: ScimOperation[] = [];
  for (const [name, member] of Object.entries(value)) {
    if (isCoreSchema(name)) {
      const inner = readPathless(op, member);
      if (!inner.ok) return inner;
      operations.push(...inner.value);
      continue;
    }
    const path = parsePath(name);
    if (!path.ok && isMisspelledCorePath(name)) return path;
    // A name that is no path is that of no attribute here: like others that are not known, it is left out.
    if (path.ok) operations.push({ op, path: path.value, value: member });
  }
  return { ok: true, value: operations };
}
