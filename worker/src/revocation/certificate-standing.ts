import { CrlEntries, type OcspStatus, type RevocationReason } from '@countersign/x509';
import * as z from 'zod/mini';
import { retentionMs } from './revocation-times.ts';

/** What a device's shard says about one of its certificates. */
export type CertificateStanding = {
  /** As in the certificate: magnitude without leading zeros. */
  readonly serialNumber: Uint8Array;
  readonly notAfterMs: number;
  readonly status: 'good' | 'revoked' | 'hold';
  readonly reason?: RevocationReason;
  readonly changedAtMs: number;
  /** Rises with each change. */
  readonly statusVersion: number;
};

type Row = {
  readonly serial_number: ArrayBuffer;
  readonly status: string;
  readonly reason: string | null;
  readonly changed_at_ms: number;
  readonly not_after_ms: number;
  readonly status_version: number;
};

const reasonText = z.enum([
  'unspecified',
  'keyCompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'certificateHold',
  'privilegeWithdrawn',
]);

function reasonOf({ status, reason }: Pick<Row, 'status' | 'reason'>): RevocationReason {
  if (status === 'hold') return 'certificateHold';
  const known = reasonText.safeParse(reason);
  return known.success ? known.data : 'unspecified';
}

function findRow(sql: SqlStorage, serialNumber: Uint8Array): Row | undefined {
  return sql
    .exec<Row>('SELECT * FROM certificates WHERE serial_number = ?', serialNumber)
    .toArray()[0];
}

/**
 * Stores what is new about a certificate: a standing of the same or a lower version is passed over, and a revoked
 * certificate stays revoked, whatever comes later. Idempotent.
 *
 * @returns whether the revocation list is another one now
 */
export function storeStanding(sql: SqlStorage, standing: CertificateStanding): boolean {
  const { serialNumber, status, reason, changedAtMs, notAfterMs, statusVersion } = standing;
  const known = findRow(sql, serialNumber);
  if (known !== undefined) {
    if (known.status === 'revoked' || known.status_version >= statusVersion) return false;
  }
  sql.exec(
    `INSERT INTO certificates (serial_number, status, reason, changed_at_ms, not_after_ms, status_version)
     VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (serial_number) DO UPDATE SET status = excluded.status, reason = excluded.reason,
       changed_at_ms = excluded.changed_at_ms, status_version = excluded.status_version`,
    serialNumber,
    status,
    status === 'good' ? null : (reason ?? null),
    changedAtMs,
    notAfterMs,
    statusVersion,
  );
  return status !== (known?.status ?? 'good');
}

/** RFC 6960 section 2.2: `unknown` is what was never issued, or ended long ago. */
export function readStatus(sql: SqlStorage, serialNumber: Uint8Array): OcspStatus {
  const row = findRow(sql, serialNumber);
  if (row === undefined) return { status: 'unknown' };
  if (row.status === 'good') return { status: 'good' };
  return { status: 'revoked', revokedAtMs: row.changed_at_ms, reason: reasonOf(row) };
}

/** The entries of a list made at `nowMs`: no revocation is dated later than that, whoever's clock dated it. */
export function readEntries(sql: SqlStorage, nowMs: number): CrlEntries {
  const { count } = sql
    .exec<{ count: number }>(
      `SELECT count(*) AS count FROM certificates INDEXED BY certificates_listed WHERE status <> 'good'`,
    )
    .one();
  const entries = new CrlEntries(count);
  const rows = sql.exec<Row>(
    `SELECT serial_number, status, reason, changed_at_ms FROM certificates INDEXED BY certificates_listed
     WHERE status <> 'good' ORDER BY serial_number`,
  );
  for (const row of rows) {
    const serialNumber = new Uint8Array(row.serial_number);
    entries.append(serialNumber, Math.min(row.changed_at_ms, nowMs), reasonOf(row));
  }
  return entries;
}

/** Forgets certificates that ended so long ago that lists have said so since. */
export function forgetEnded(sql: SqlStorage, nowMs: number): void {
  sql.exec('DELETE FROM certificates WHERE not_after_ms < ?', nowMs - retentionMs);
  sql.exec('DELETE FROM responders WHERE not_after_ms < ?', nowMs - retentionMs);
}
