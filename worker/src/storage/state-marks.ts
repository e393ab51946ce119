import { encodeBase64url } from '@countersign/protocol';
import type { DeviceMark } from '@countersign/protocol/state';
import type { ChainHead } from '../audit/hash-chain.ts';

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
