import { decodeBase64url } from '@countersign/protocol';
import { parseFields } from '@countersign/protocol/schemas';
import { type StatePage, type StateRow, stateValue } from '@countersign/protocol/state';
import * as z from 'zod/mini';
import { decodeValue, encodeCursor, encodeRow, encodeValue, weightOf } from './state-values.ts';

/** A page ends after the row that makes it heavier than this; rows are small, or a few of them are. */
const pageWeight = 256 * 1024;

const cursorKey = z.array(stateValue).check(z.minLength(1), z.maxLength(8));

/** @returns `undefined` for a text that is no cursor */
export function decodeCursor(text: string): SqlStorageValue[] | undefined {
  const bytes = decodeBase64url(text);
  if (bytes === undefined) return undefined;
  try {
    const parsed = parseFields(cursorKey, JSON.parse(new TextDecoder().decode(bytes)));
    return parsed.ok ? parsed.value.map(decodeValue) : undefined;
  } catch {
    return undefined;
  }
}

/** Columns of a table in their order, those of its primary key apart. Empty for a table that is not there. */
export function describeTable(sql: SqlStorage, table: string) {
  const columns = sql
    .exec<{ name: string; pk: number }>('SELECT name, pk FROM pragma_table_info(?)', table)
    .toArray();
  const key = columns.filter(({ pk }) => pk > 0).toSorted((a, b) => a.pk - b.pk);
  return { columns: columns.map(({ name }) => name), key: key.map(({ name }) => name) };
}

export type PageRange = {
  /** The key after which the page begins; the first page has none. */
  readonly after: readonly SqlStorageValue[] | undefined;
  /** The last value of a key of one column; left out, all rows. */
  readonly through?: number;
};

/**
 * Rows of a table in the order of its primary key. Any table, so that none needs code of its own to be exported.
 * `table` is a name of the code's, never of a request.
 */
export function exportTable(sql: SqlStorage, table: string, range: PageRange): StatePage {
  const { key } = describeTable(sql, table);
  const keyList = key.join(', ');
  const conditions: string[] = [];
  const bindings: SqlStorageValue[] = [];
  if (range.after !== undefined) {
    if (range.after.length !== key.length) throw new RangeError(`no key of ${table}`);
    conditions.push(`(${keyList}) > (${key.map(() => '?').join(', ')})`);
    bindings.push(...range.after);
  }
  if (range.through !== undefined) {
    conditions.push(`${keyList} <= ?`);
    bindings.push(range.through);
  }
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
  const rows: StateRow[] = [];
  let weight = 0;
  for (const row of sql.exec(`SELECT * FROM ${table} ${where} ORDER BY ${keyList}`, ...bindings)) {
    const encoded = encodeRow(row);
    rows.push(encoded);
    weight += weightOf(encoded);
    if (weight > pageWeight) {
      return {
        tables: { [table]: rows },
        next: encodeCursor(key.map((name) => encodeValue(row[name] ?? null))),
      };
    }
  }
  return { tables: { [table]: rows }, next: null };
}
