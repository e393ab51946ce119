import { refuseFilter, refuseValue, type ScimResult } from './scim-result.ts';

/** Query parameters of RFC 7644 section 3.4.2. Sorting is not offered, and ignored as the RFC permits. */
export type ListQuery = {
  readonly filter: string | undefined;
  /** From 1. */
  readonly startIndex: number;
  readonly count: number;
  readonly selection: Selection;
};

/** Attributes of an answer, by their first part in lower case. */
export type Selection =
  | { readonly kind: 'all' }
  | { readonly kind: 'only' | 'without'; readonly attributes: ReadonlySet<string> };

export const maxResults = 200;
const defaultResults = 100;

function wholeNumber(text: string | null, name: string): ScimResult<number | undefined> {
  if (text === null || text === '') return { ok: true, value: undefined };
  if (!/^-?[0-9]{1,9}$/.test(text)) return refuseValue(`${name} must be a whole number`);
  return { ok: true, value: Number(text) };
}

const namesIn = (text: string) =>
  new Set(
    text
      .split(',')
      .map((name) => name.trim().toLowerCase())
      .map((name) => (name.startsWith('urn:') ? name.slice(name.lastIndexOf(':') + 1) : name))
      .map((name) => name.split('.')[0] ?? '')
      .filter((name) => name !== ''),
  );

export function readSelection(query: URLSearchParams): Selection {
  const only = query.get('attributes');
  if (only !== null && only !== '') return { kind: 'only', attributes: namesIn(only) };
  const without = query.get('excludedAttributes');
  return without === null || without === ''
    ? { kind: 'all' }
    : { kind: 'without', attributes: namesIn(without) };
}

export const isSelected = (selection: Selection, attribute: string): boolean =>
  selection.kind === 'all' ||
  selection.attributes.has(attribute.toLowerCase()) === (selection.kind === 'only');

/** What is always in an answer (RFC 7643 section 7, `returned`). */
const always = ['schemas', 'id', 'meta'];

/** The attributes of a resource that were asked for. */
export const select = (resource: Readonly<Record<string, unknown>>, selection: Selection) =>
  Object.fromEntries(
    Object.entries(resource).filter(
      ([name, value]) =>
        value !== undefined &&
        (always.includes(name) || name.startsWith('urn:') || isSelected(selection, name)),
    ),
  );

export function readListQuery(query: URLSearchParams): ScimResult<ListQuery> {
  const startIndex = wholeNumber(query.get('startIndex'), 'startIndex');
  if (!startIndex.ok) return startIndex;
  const count = wholeNumber(query.get('count'), 'count');
  if (!count.ok) return count;
  const filter = query.get('filter');
  if (filter === '') return refuseFilter('is empty');
  return {
    ok: true,
    value: {
      filter: filter ?? undefined,
      // Less than 1 is 1, less than 0 is 0: RFC 7644 section 3.4.2.4.
      startIndex: Math.max(1, startIndex.value ?? 1),
      count: Math.min(maxResults, Math.max(0, count.value ?? defaultResults)),
      selection: readSelection(query),
    },
  };
}
