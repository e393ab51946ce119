import type { StatePage, StateRow, StateTables } from '@countersign/protocol/state';
import { bytesOf, ImportError, importRows, textOf, wholeOf } from '../storage/import-rows.ts';
import { encodeCursor, encodeRow } from '../storage/state-values.ts';

/** Devices of one page. Each comes with all of its certificates, which are few. */
const devicesPerPage = 64;

/**
 * Devices with their certificates, by device id, as they are at one moment: no page shows a limit or a renewal half
 * done.
 */
export function exportDevices(sql: SqlStorage, after: string | undefined): StatePage {
  const ids = sql
    .exec<{ device_id: string }>(
      `SELECT device_id FROM (
         SELECT device_id FROM devices WHERE device_id > ?1 ORDER BY device_id LIMIT ?2
       ) UNION SELECT device_id FROM (
         SELECT DISTINCT device_id FROM certificates WHERE device_id > ?1 ORDER BY device_id LIMIT ?2
       ) ORDER BY device_id LIMIT ?2`,
      after ?? '',
      devicesPerPage,
    )
    .toArray()
    .map((row) => row.device_id);
  const last = ids.at(-1);
  if (last === undefined) return { tables: { devices: [], certificates: [] }, next: null };
  const rowsOf = (table: string, order: string): StateRow[] =>
    sql
      .exec(
        `SELECT * FROM ${table} WHERE device_id > ? AND device_id <= ? ORDER BY ${order}`,
        after ?? '',
        last,
      )
      .toArray()
      .map(encodeRow);
  return {
    tables: {
      devices: rowsOf('devices', 'device_id'),
      certificates: rowsOf('certificates', 'device_id, certificate_number'),
    },
    next: ids.length < devicesPerPage ? null : encodeCursor([last]),
  };
}

/** The user of whom the shard was reserved for this certificate, or nobody. @throws ImportError */
function reservedBy(row: StateRow, user: string, epoch: string): ImportedDevices['bindings'] {
  return row[user] === null || row[user] === undefined
    ? []
    : [{ userId: textOf(row, user), epoch: wholeOf(row, epoch) }];
}

/** What else follows from imported certificates, whatever the other objects had on record when they were read. */
export type ImportedDevices = {
  readonly bindings: ReadonlyArray<{ readonly userId: string; readonly epoch: number }>;
  /** SHA-256 of the keys of revoked certificates. */
  readonly revokedKeys: readonly Uint8Array[];
};

/**
 * Stores devices that lived in another shard. Certificates get numbers of this one, in the order of the old ones;
 * a lineage goes on under the new number of the certificate that it began with, and so does what superseded what.
 *
 * @throws ImportError
 */
export function importDevices(sql: SqlStorage, tables: StateTables): ImportedDevices {
  importRows(sql, 'devices', tables.devices ?? []);
  const certificates = (tables.certificates ?? []).toSorted(
    (a, b) => wholeOf(a, 'certificate_number') - wholeOf(b, 'certificate_number'),
  );
  const { newest } = sql
    .exec<{ newest: number }>(
      'SELECT COALESCE(MAX(certificate_number), 0) AS newest FROM certificates',
    )
    .one();
  const numbers = new Map(
    certificates.map((row, index) => [wholeOf(row, 'certificate_number'), newest + 1 + index]),
  );
  if (numbers.size < certificates.length) throw new ImportError('a certificate number twice');
  const numberOf = (row: StateRow, column: string): number => {
    const number = numbers.get(wholeOf(row, column));
    if (number === undefined) throw new ImportError(`${column} names no certificate of the page`);
    return number;
  };
  importRows(
    sql,
    'certificates',
    certificates.map((row) => ({
      ...row,
      certificate_number: numberOf(row, 'certificate_number'),
      lineage: numberOf(row, 'lineage'),
      ...(typeof row.supersedes === 'number' ? { supersedes: numberOf(row, 'supersedes') } : {}),
    })),
  );
  return {
    bindings: certificates.flatMap((row) => [
      ...reservedBy(row, 'bound_user', 'bound_epoch'),
      ...reservedBy(row, 'requested_user', 'requested_epoch'),
    ]),
    revokedKeys: certificates
      .filter((row) => row.status === 'revoked')
      .map((row) => bytesOf(row, 'spki_sha256')),
  };
}
