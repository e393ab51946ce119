import { type DurableStore, isUnavailable, type StorageUnavailable } from './durable-store.ts';
import { ImportError } from './import-rows.ts';

/** `detail` says which rows do not fit. Nothing of the page was stored. */
export type ImportRefusal = {
  readonly ok: false;
  readonly code: 'import_refused';
  readonly detail: string;
};

export type ImportAnswer<Value> =
  | { readonly ok: true; readonly value: Value }
  | ImportRefusal
  | StorageUnavailable;

/** Runs a block of an import: all of it is stored, or none and what was wrong is told. */
export async function importBlock<Value>(
  store: DurableStore,
  block: (sql: SqlStorage) => Value,
): Promise<ImportAnswer<Value>> {
  let refused: ImportError | undefined;
  const stored = await store.write((sql) => {
    try {
      return { ok: true, value: block(sql) } as const;
    } catch (error) {
      if (error instanceof ImportError) refused = error;
      throw error;
    }
  });
  return isUnavailable(stored) && refused !== undefined
    ? { ok: false, code: 'import_refused', detail: refused.message }
    : stored;
}
