import { DatabaseSync, type SQLInputValue } from 'node:sqlite';

type Row = Record<string, SqlStorageValue>;

function toInput(value: unknown): SQLInputValue {
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (value instanceof Uint8Array) return value;
  if (value === null || typeof value === 'string' || typeof value === 'number') return value;
  throw new TypeError(`${typeof value} cannot be bound`);
}

const toOutput = (value: unknown): SqlStorageValue =>
  value instanceof Uint8Array ? value.slice().buffer : (value as SqlStorageValue);

function cursorOf(rows: Row[]) {
  return {
    toArray: () => rows,
    one: () => {
      const [row] = rows;
      if (row === undefined || rows.length > 1) throw new Error(`${rows.length} rows instead of 1`);
      return row;
    },
    [Symbol.iterator]: () => rows.values(),
  };
}

/** An object's database on Node's SQLite, for unit tests of code that is given `sql`: `exec` with the same values. */
export function fakeSqlStorage(schema: readonly { readonly sql: string }[]): SqlStorage {
  const database = new DatabaseSync(':memory:');
  for (const { sql } of schema) database.exec(sql);
  const exec = (query: string, ...bindings: unknown[]) =>
    cursorOf(
      database
        .prepare(query)
        .all(...bindings.map(toInput))
        .map((row) =>
          Object.fromEntries(Object.entries(row).map(([name, value]) => [name, toOutput(value)])),
        ),
    );
  return { exec } as unknown as SqlStorage;
}
