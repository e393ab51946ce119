import { encodeBase64url } from '@countersign/protocol';
import type { DeviceMark } from '@countersign/protocol/state';
import type { ChainHead } from '../audit/hash-chain.ts';
import type { DurableStore, StorageUnavailable } from './durable-store.ts';

/** An object whose database is of another version has no mark that could be compared. */
export type OtherVersion = {
  readonly ok: false;
  readonly code: 'storage_unavailable';
  readonly otherVersion: string;
};

/**
 * Reads an object's mark. It is on disk when it is answered, so that no crash can take back what a mark has told.
 */
export async function markIn<Mark>(
  store: DurableStore,
  read: (sql: SqlStorage) => Mark,
): Promise<{ readonly ok: true; readonly mark: Mark } | OtherVersion | StorageUnavailable> {
  const { otherVersion } = store;
  if (otherVersion !== undefined) return { ok: false, code: 'storage_unavailable', otherVersion };
  return await store.write((sql) => ({ ok: true, mark: read(sql) }) as const);
}

/** Writes that neither a decision nor a certificate's number shows; triggers count them, so that none is forgotten. */
export function readChanges(sql: SqlStorage): number {
  return sql.exec<{ count: number }>('SELECT count FROM changes').one().count;
}

export function readDeviceMark(sql: SqlStorage, head: ChainHead): DeviceMark {
  const { newest } = sql
    .exec<{ newest: number }>(
      'SELECT COALESCE(MAX(certificate_number), 0) AS newest FROM certificates',
    )
    .one();
  return {
    count: head.count,
    hash: encodeBase64url(head.hash),
    certificates: newest,
    changes: readChanges(sql),
  };
}
