import type { DurableStore } from '../storage/durable-store.ts';

/** An object's store over the database of a unit test: blocks run as they come. */
export function fakeStore(sql: SqlStorage): DurableStore {
  const store: Pick<DurableStore, 'read' | 'write' | 'otherVersion'> = {
    otherVersion: undefined,
    read: (block) => block(sql),
    write: async (block) => block(sql),
  };
  return store as DurableStore;
}
