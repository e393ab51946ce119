import { revocationReasons } from '@countersign/protocol/certificate-life';
import { type CertificateRow, selectCertificates } from './certificate-records.ts';
import type { PublishedStanding } from './published-standing.ts';

/**
 * Brings the standing of certificates to those who tell the world, and blocks the keys of revoked ones. The outbox says
 * of which certificates something is to be told, not what: each is read as it is then, so that nothing old overtakes
 * anything new. A row goes when all have answered and its standing has not changed meanwhile.
 */

/** Certificates of one round. */
export const deliveriesPerRound = 200;

export type PkiDestinations = {
  /** Tells the publisher of one CRL shard; true when it has it on disk. */
  readonly publish: (
    issuerId: string,
    crlShard: number,
    entries: readonly PublishedStanding[],
  ) => Promise<boolean>;
  /** Blocks a key for ever; true when that is on disk. */
  readonly blockKey: (spkiSha256: Uint8Array) => Promise<boolean>;
};

/** @param after number of the certificate that the round before ended with */
export function readOutbox(sql: SqlStorage, after: number): CertificateRow[] {
  return selectCertificates(
    sql,
    `certificate_number IN (
       SELECT certificate_number FROM pki_outbox WHERE certificate_number > ?
       ORDER BY certificate_number LIMIT ?
     )`,
    after,
    deliveriesPerRound,
  );
}

export function publishedStanding(row: CertificateRow): PublishedStanding {
  const { status, revocation_reason: reason } = row;
  const known = revocationReasons.find((name) => name === reason);
  const entry = {
    serialNumber: row.serial_number,
    notAfterMs: row.not_after_ms,
    changedAtMs: row.standing_changed_at_ms ?? row.revoked_at_ms ?? row.created_at_ms,
    statusVersion: row.status_version,
  };
  if (status === 'revoked') {
    return { ...entry, status: 'revoked', ...(known === undefined ? {} : { reason: known }) };
  }
  return { ...entry, status: status === 'suspended' ? 'hold' : 'good' };
}

const listOf = (row: CertificateRow) => `${row.issuer_id}/${row.crl_shard}`;

/** @returns the rows of which everything has been told */
export async function deliverStandings(
  rows: readonly CertificateRow[],
  { publish, blockKey }: PkiDestinations,
): Promise<CertificateRow[]> {
  const failed = new Set<number>();
  const lists = Map.groupBy(
    // Certificates from before there were lists name none.
    rows.filter(({ crl_shard }) => crl_shard !== null),
    listOf,
  );
  const publications = [...lists.values()].map(async (ofList) => {
    const [{ issuer_id, crl_shard } = { issuer_id: '', crl_shard: null }] = ofList;
    const told = await publish(issuer_id, crl_shard ?? 0, ofList.map(publishedStanding));
    if (!told) for (const row of ofList) failed.add(row.certificate_number);
  });
  const blocks = rows
    .filter(({ status }) => status === 'revoked')
    .map(async (row) => {
      if (!(await blockKey(row.spki_sha256))) failed.add(row.certificate_number);
    });
  await Promise.all([...publications, ...blocks]);
  return rows.filter(({ certificate_number }) => !failed.has(certificate_number));
}

/** Takes what was told off the outbox, where the standing is still the one that was told. */
export function settleOutbox(sql: SqlStorage, told: readonly CertificateRow[]): void {
  for (const row of told) {
    sql.exec(
      `DELETE FROM pki_outbox WHERE certificate_number = ?1 AND EXISTS (
         SELECT 1 FROM certificates WHERE certificate_number = ?1 AND status_version = ?2
       )`,
      row.certificate_number,
      row.status_version,
    );
  }
}

export function outboxIsEmpty(sql: SqlStorage): boolean {
  return sql.exec('SELECT 1 FROM pki_outbox LIMIT 1').toArray().length === 0;
}
