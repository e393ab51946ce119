import type { StateRow } from '@countersign/protocol/state';
import { describeTable } from './export-tables.ts';
import { decodeValue } from './state-values.ts';

/** Rows that cannot be stored: a table or column of another version, a row that is there already. */
export class ImportError extends Error {}

/**
 * Puts rows into a table as they are. Columns that they lack, because they are from an older version, take their
 * default; a column that the table lacks is refused. Any failure is for the whole block to be undone.
 *
 * @throws ImportError
 */
export function importRows(sql: SqlStorage, table: string, rows: readonly StateRow[]): void {
  if (rows.length === 0) return;
  const { columns } = describeTable(sql, table);
  for (const row of rows) {
    const names = Object.keys(row);
    const unknown = names.find((name) => !columns.includes(name));
    if (unknown !== undefined) throw new ImportError(`${table} has no column ${unknown}`);
    try {
      sql.exec(
        `INSERT INTO ${table} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`,
        ...Object.values(row).map(decodeValue),
      );
    } catch (error) {
      throw new ImportError(`a row does not fit into ${table}: ${String(error)}`, { cause: error });
    }
  }
}

/** A value of a row that its table demands to be text. */
export function textOf(row: StateRow, column: string): string {
  const value = row[column];
  if (typeof value !== 'string') throw new ImportError(`${column} must be text`);
  return value;
}

/** A value of a row that its table demands to be a whole number. */
export function wholeOf(row: StateRow, column: string): number {
  const value = row[column];
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
    throw new ImportError(`${column} must be a whole number`);
  }
  return value;
}

export function bytesOf(row: StateRow, column: string): Uint8Array {
  const value = row[column];
  const bytes = value === undefined ? null : decodeValue(value);
  if (!(bytes instanceof ArrayBuffer)) throw new ImportError(`${column} must be bytes`);
  return new Uint8Array(bytes);
}
