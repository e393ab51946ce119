import { GroupCommit } from './group-commit.ts';
import { type Migration, type MigrationResult, migrate } from './migrations.ts';

/** What an object answers when its storage is damaged, full, or of another version. Nothing was written then. */
export type StorageUnavailable = { readonly ok: false; readonly code: 'storage_unavailable' };

export const storageUnavailable: StorageUnavailable = { ok: false, code: 'storage_unavailable' };

/** True for the store's own refusal, which is told by identity: a row may look like anything. */
export function isUnavailable(value: unknown): value is StorageUnavailable {
  return value === storageUnavailable;
}

/**
 * A Durable Object's own SQLite database, at the newest schema, reached only through blocks: every failure of the
 * storage becomes an answer and a line in the log.
 */
export class DurableStore {
  readonly #storage: DurableObjectStorage;
  readonly #commit: GroupCommit;
  readonly #migrated: MigrationResult;

  /** @param onRolledBack called at once when a block's writes are taken back, before another block runs */
  constructor(
    storage: DurableObjectStorage,
    migrations: readonly Migration[],
    onRolledBack: () => void = () => undefined,
  ) {
    this.#storage = storage;
    this.#migrated = migrate(storage, migrations);
    this.#commit = new GroupCommit(storage, onRolledBack);
  }

  /** Says how the database is of another version; `undefined` when it is not. */
  get otherVersion(): string | undefined {
    const migrated = this.#migrated;
    return migrated.ok || !migrated.otherVersion ? undefined : migrated.detail;
  }

  /** Runs a block that only reads. */
  read<Value>(block: (sql: SqlStorage) => Value): Value | StorageUnavailable {
    if (!this.#migrated.ok) return this.#refuseSchema(this.#migrated.detail);
    try {
      return block(this.#storage.sql);
    } catch (error) {
      return this.#fail(error);
    }
  }

  /** Runs a block that checks and writes; its answer comes after its writes are on disk. */
  async write<Value>(block: (sql: SqlStorage) => Value): Promise<Value | StorageUnavailable> {
    if (!this.#migrated.ok) return this.#refuseSchema(this.#migrated.detail);
    try {
      return await this.#commit.run(() => block(this.#storage.sql));
    } catch (error) {
      return this.#fail(error);
    }
  }

  #refuseSchema(detail: string): StorageUnavailable {
    console.error(JSON.stringify({ event: 'schema_refused', detail }));
    return storageUnavailable;
  }

  #fail(error: unknown): StorageUnavailable {
    console.error(JSON.stringify({ event: 'storage_failed', detail: String(error) }));
    return storageUnavailable;
  }
}
