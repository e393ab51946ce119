/** Which list an object publishes. */
export type CrlPlace = { readonly issuerId: string; readonly crlShard: number };

/** A list as it is published. */
export type PublishedCrl = {
  readonly number: number;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  /** CertificateList, DER. */
  readonly der: Uint8Array;
};

export type Publication = {
  readonly place: CrlPlace;
  /** How often what is on the list has changed. */
  readonly changes: number;
  /** The list that is stored holds the changes up to this one; -1 where none is. */
  readonly crlChanges: number;
  readonly lastNumber: number;
  readonly crlNumber: number;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
};

type Row = {
  readonly issuer_id: string;
  readonly crl_shard: number;
  readonly changes: number;
  readonly crl_changes: number;
  readonly last_number: number;
  readonly crl_number: number;
  readonly this_update_ms: number;
  readonly next_update_ms: number;
};

export function readPublication(sql: SqlStorage): Publication | undefined {
  const [row] = sql.exec<Row>('SELECT * FROM publication WHERE id = 0').toArray();
  return row === undefined
    ? undefined
    : {
        place: { issuerId: row.issuer_id, crlShard: row.crl_shard },
        changes: row.changes,
        crlChanges: row.crl_changes,
        lastNumber: row.last_number,
        crlNumber: row.crl_number,
        thisUpdateMs: row.this_update_ms,
        nextUpdateMs: row.next_update_ms,
      };
}

/** Writes down whose list this is; an alarm has nobody to tell it. */
export function ensurePublication(sql: SqlStorage, { issuerId, crlShard }: CrlPlace): void {
  sql.exec(
    'INSERT INTO publication (id, issuer_id, crl_shard) VALUES (0, ?, ?) ON CONFLICT (id) DO NOTHING',
    issuerId,
    crlShard,
  );
}

export function countChange(sql: SqlStorage): void {
  sql.exec('UPDATE publication SET changes = changes + 1 WHERE id = 0');
}

/**
 * The number of a list about to be signed (RFC 5280 section 5.2.3), on record before it is: higher than every one
 * before, also after a restore of an older copy, because it is no lower than the time in milliseconds.
 */
export function takeNumber(sql: SqlStorage, lastNumber: number, nowMs: number): number {
  const number = Math.max(lastNumber + 1, nowMs);
  sql.exec('UPDATE publication SET last_number = ? WHERE id = 0', number);
  return number;
}

/**
 * The URIs under which certificates may look for this list. One is kept for ever: certificates name it, and a list that
 * does not name it too is not theirs (RFC 5280 section 6.3.3).
 *
 * @param uri the one that certificates of today get
 */
export function distributionPoints(sql: SqlStorage, uri: string): string[] {
  const known = sql.exec<{ uri: string }>('SELECT uri FROM distribution_points').toArray();
  const others = known.map((row) => row.uri).filter((each) => each !== uri);
  if (others.length === known.length) {
    sql.exec('INSERT INTO distribution_points (uri) VALUES (?)', uri);
  }
  return [uri, ...others];
}

/** Durable Objects hold rows of up to 2 MB. */
const maxPartBytes = 1_000_000;

/** Stores a signed list, unless a newer one is stored already. */
export function storeCrl(sql: SqlStorage, crl: PublishedCrl, changes: number): void {
  const known = readPublication(sql);
  if (known !== undefined && known.crlNumber > crl.number) return;
  sql.exec('DELETE FROM crl_parts');
  for (let part = 0; part * maxPartBytes < crl.der.length; part++) {
    const der = crl.der.slice(part * maxPartBytes, (part + 1) * maxPartBytes);
    sql.exec('INSERT INTO crl_parts (part, der) VALUES (?, ?)', part, der);
  }
  sql.exec(
    `UPDATE publication SET crl_number = ?, crl_changes = ?, this_update_ms = ?, next_update_ms = ? WHERE id = 0`,
    crl.number,
    changes,
    crl.thisUpdateMs,
    crl.nextUpdateMs,
  );
}

export function readCrl(sql: SqlStorage, publication: Publication): PublishedCrl | undefined {
  if (publication.crlChanges < 0) return undefined;
  const parts = sql
    .exec<{ der: ArrayBuffer }>('SELECT der FROM crl_parts ORDER BY part')
    .toArray()
    .map((row) => new Uint8Array(row.der));
  const der = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    der.set(part, offset);
    offset += part.length;
  }
  const { crlNumber: number, thisUpdateMs, nextUpdateMs } = publication;
  return { number, thisUpdateMs, nextUpdateMs, der };
}
