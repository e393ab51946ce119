import { nameKey } from '@countersign/protocol/name-key';
import type { Filter } from 'scim2-parse-filter';
import { parseFilter } from './parse-filter.ts';
import { withoutSchema } from './parse-path.ts';
import { collect, refuseFilter, type ScimResult } from './scim-result.ts';

/** A condition of a query; every value of a request is bound, and every column is one of the tables here. */
export type SqlCondition = {
  readonly sql: string;
  readonly bindings: readonly (string | number)[];
};

/** How an attribute is stored. Texts without case are compared in lower case: by JavaScript's rules where a column is kept so. */
type Column =
  | { readonly kind: 'exact' | 'folded' | 'key'; readonly sql: string }
  | { readonly kind: 'boolean'; readonly sql: string }
  /** A list: `EXISTS (… AND <condition of the element>)`. */
  | {
      readonly kind: 'list';
      readonly from: string;
      readonly elements: Readonly<Record<string, Column>>;
    };

/** By attribute in lower case. Tables are `d` (`directory_users`) and `u` (`users`). */
export const userColumns: Readonly<Record<string, Column>> = {
  id: { kind: 'exact', sql: 'd.scim_id' },
  username: { kind: 'key', sql: 'd.user_name_key' },
  externalid: { kind: 'exact', sql: 'd.external_id' },
  active: { kind: 'boolean', sql: 'u.active' },
  displayname: { kind: 'folded', sql: "json_extract(d.profile, '$.displayName')" },
  'name.formatted': { kind: 'folded', sql: "json_extract(d.profile, '$.name.formatted')" },
  'name.givenname': { kind: 'folded', sql: "json_extract(d.profile, '$.name.givenName')" },
  'name.familyname': { kind: 'folded', sql: "json_extract(d.profile, '$.name.familyName')" },
  emails: {
    kind: 'list',
    from: "json_each(d.profile, '$.emails') e",
    elements: {
      value: { kind: 'folded', sql: "json_extract(e.value, '$.value')" },
      type: { kind: 'folded', sql: "json_extract(e.value, '$.type')" },
      primary: { kind: 'boolean', sql: "json_extract(e.value, '$.primary')" },
    },
  },
};

/** Table `g` is `user_groups`. Members are named by the ids of their resources. */
export const groupColumns: Readonly<Record<string, Column>> = {
  id: { kind: 'exact', sql: 'g.group_id' },
  displayname: { kind: 'folded', sql: 'g.name' },
  externalid: { kind: 'exact', sql: 'g.external_id' },
  members: {
    kind: 'list',
    from: `group_members m JOIN directory_users d ON d.user_id = m.user_id
      AND m.group_id = g.group_id`,
    elements: { value: { kind: 'exact', sql: 'd.scim_id' } },
  },
};

/** @returns a condition that is always true where there is no filter */
export function filterCondition(
  text: string | undefined,
  columns: Readonly<Record<string, Column>>,
): ScimResult<SqlCondition> {
  if (text === undefined) return { ok: true, value: { sql: 'TRUE', bindings: [] } };
  const filter = parseFilter(text);
  return filter.ok ? conditionOf(filter.value, columns) : filter;
}

function conditionOf(
  filter: Filter,
  columns: Readonly<Record<string, Column>>,
): ScimResult<SqlCondition> {
  switch (filter.op) {
    case 'and':
    case 'or': {
      const parts = collect(filter.filters.map((each) => conditionOf(each, columns)));
      if (!parts.ok) return parts;
      return {
        ok: true,
        value: {
          sql: `(${parts.value.map(({ sql }) => sql).join(` ${filter.op} `)})`,
          bindings: parts.value.flatMap(({ bindings }) => bindings),
        },
      };
    }
    case 'not': {
      const inner = conditionOf(filter.filter, columns);
      // What is not there is not equal either: NULL counts as false before it is turned round.
      return inner.ok
        ? { ok: true, value: { ...inner.value, sql: `NOT COALESCE(${inner.value.sql}, FALSE)` } }
        : inner;
    }
    case '[]': {
      const column = columnOf(filter.attrPath, columns);
      if (column?.kind !== 'list') return refuseFilter(`${filter.attrPath} is not known here`);
      return existing(column, conditionOf(filter.valFilter, column.elements));
    }
    default:
      return compare(filter, columns);
  }
}

function columnOf(path: string, columns: Readonly<Record<string, Column>>): Column | undefined {
  const name = withoutSchema(path)?.toLowerCase() ?? '';
  return Object.hasOwn(columns, name) ? columns[name] : undefined;
}

const existing = (
  { from }: Extract<Column, { kind: 'list' }>,
  inner: ScimResult<SqlCondition>,
): ScimResult<SqlCondition> =>
  inner.ok
    ? {
        ok: true,
        value: { ...inner.value, sql: `EXISTS (SELECT 1 FROM ${from} WHERE ${inner.value.sql})` },
      }
    : inner;

type Comparison = Extract<Filter, { attrPath: string }> & { op: Exclude<Filter['op'], '[]'> };

function compare(
  filter: Exclude<Filter, { op: 'and' | 'or' | 'not' | '[]' }>,
  columns: Readonly<Record<string, Column>>,
): ScimResult<SqlCondition> {
  const name = withoutSchema(filter.attrPath)?.toLowerCase() ?? '';
  const column = columnOf(filter.attrPath, columns);
  if (column?.kind === 'list') {
    // `emails eq "…"`: its value (RFC 7644 section 3.4.2.2).
    return existing(column, compare({ ...filter, attrPath: 'value' }, column.elements));
  }
  if (column === undefined) {
    const [list = '', element = ''] = name.split('.');
    const listed = columnOf(list, columns);
    if (listed?.kind === 'list' && element !== '') {
      return existing(listed, compare({ ...filter, attrPath: element }, listed.elements));
    }
    return refuseFilter(`${filter.attrPath.slice(0, 64)} is not known here`);
  }
  if (filter.op === 'pr') {
    return { ok: true, value: { sql: `${column.sql} IS NOT NULL`, bindings: [] } };
  }
  return column.kind === 'boolean'
    ? compareBoolean(column.sql, filter)
    : compareText(column, filter);
}

type Compared = Extract<Comparison, { compValue: unknown }>;

function compareBoolean(
  sql: string,
  { op, compValue, attrPath }: Pick<Compared, 'op' | 'compValue' | 'attrPath'>,
): ScimResult<SqlCondition> {
  const text = String(compValue).toLowerCase();
  if ((op !== 'eq' && op !== 'ne') || (text !== 'true' && text !== 'false')) {
    return refuseFilter(`${attrPath} can be compared with eq and ne, to true or false`);
  }
  const isTrue = (text === 'true') === (op === 'eq');
  return { ok: true, value: { sql: `COALESCE(${sql}, 0) = ${isTrue ? 1 : 0}`, bindings: [] } };
}

function compareText(
  { kind, sql }: { readonly kind: 'exact' | 'folded' | 'key'; readonly sql: string },
  { op, compValue, attrPath }: Pick<Compared, 'op' | 'compValue' | 'attrPath'>,
): ScimResult<SqlCondition> {
  if (typeof compValue !== 'string') return refuseFilter(`${attrPath} is a text`);
  const column = kind === 'folded' ? `lower(${sql})` : sql;
  const place = kind === 'folded' ? 'lower(?)' : '?';
  const value = kind === 'key' ? nameKey(compValue) : compValue;
  const conditions: Readonly<Partial<Record<typeof op, string>>> = {
    eq: `${column} = ${place}`,
    ne: `${column} IS NOT ${place}`,
    co: `instr(${column}, ${place}) > 0`,
    sw: `substr(${column}, 1, length(${place})) = ${place}`,
    ew: `(length(${place}) = 0 OR substr(${column}, -length(${place})) = ${place})`,
  };
  const condition = conditions[op];
  if (condition === undefined) return refuseFilter(`${op} is not offered for ${attrPath}`);
  const bindings = Array.from({ length: condition.split('?').length - 1 }, () => value);
  return { ok: true, value: { sql: condition, bindings } };
}
