import { certificateStatuses } from '@countersign/protocol/admin';
import * as z from 'zod/mini';

/** Rows of a `DeviceObject`, read with a schema: a row that does not fit is damage and fails closed. */

const blob = z.pipe(
  z.instanceof(ArrayBuffer),
  z.transform((buffer: ArrayBuffer) => new Uint8Array(buffer)),
);

export const certificateRow = z.object({
  certificate_number: z.int(),
  device_id: z.string(),
  status: z.enum(certificateStatuses),
  spki_sha256: blob,
  serial_number: blob,
  issuer_id: z.string(),
  not_before_ms: z.int(),
  not_after_ms: z.int(),
  lineage: z.int(),
  enrollment_strength: z.enum(['one_time_token']),
  to_be_signed: z.nullable(blob),
  certificate: z.nullable(blob),
  certificate_sha256: z.nullable(blob),
  bound_user: z.nullable(z.string()),
  bound_epoch: z.nullable(z.int()),
});
export type CertificateRow = z.infer<typeof certificateRow>;
const certificateColumns = Object.keys(certificateRow.shape).join(', ');

/** What a decision needs of a certificate. Its bytes are most of a row and stay on the disk. */
const certificateStandingRow = z.pick(certificateRow, {
  certificate_number: true,
  device_id: true,
  status: true,
  issuer_id: true,
  not_before_ms: true,
  not_after_ms: true,
  lineage: true,
  bound_user: true,
  bound_epoch: true,
});
export type CertificateStandingRow = z.infer<typeof certificateStandingRow>;
const standingColumns = Object.keys(certificateStandingRow.shape).join(', ');

export const tokenRow = z.object({
  device_id: z.string(),
  expires_at_ms: z.int(),
  spent_by_spki_sha256: z.nullable(blob),
});

export const deviceRow = z.object({
  device_id: z.string(),
  serial_number: z.nullable(z.string()),
  hardware_uuid: z.nullable(z.string()),
  created_at_ms: z.int(),
});
export type DeviceRow = z.infer<typeof deviceRow>;

function readOne<Schema extends z.ZodMiniType>(
  schema: Schema,
  cursor: SqlStorageCursor<Record<string, SqlStorageValue>>,
): z.infer<Schema> | undefined {
  const [row] = cursor.toArray();
  return row === undefined ? undefined : schema.parse(row);
}

export function findCertificate(sql: SqlStorage, sha256: Uint8Array): CertificateRow | undefined {
  return readOne(
    certificateRow,
    sql.exec(`SELECT ${certificateColumns} FROM certificates WHERE certificate_sha256 = ?`, sha256),
  );
}

export function findCertificateStanding(
  sql: SqlStorage,
  sha256: Uint8Array,
): CertificateStandingRow | undefined {
  return readOne(
    certificateStandingRow,
    sql.exec(`SELECT ${standingColumns} FROM certificates WHERE certificate_sha256 = ?`, sha256),
  );
}

export function findCertificateByNumber(
  sql: SqlStorage,
  number: number,
): CertificateRow | undefined {
  return readOne(
    certificateRow,
    sql.exec(`SELECT ${certificateColumns} FROM certificates WHERE certificate_number = ?`, number),
  );
}

export function certificatesOfDevice(sql: SqlStorage, deviceId: string): CertificateRow[] {
  return sql
    .exec(
      `SELECT ${certificateColumns} FROM certificates WHERE device_id = ? ORDER BY certificate_number`,
      deviceId,
    )
    .toArray()
    .map((row) => certificateRow.parse(row));
}

export type DescribedCertificate = CertificateRow & {
  /** Bound to a user whose bindings were ended since. */
  readonly bindingEnded: boolean;
};

export function describeCertificates(sql: SqlStorage, deviceId: string): DescribedCertificate[] {
  return certificatesOfDevice(sql, deviceId).map((row) => ({
    ...row,
    bindingEnded:
      row.bound_user !== null && (row.bound_epoch ?? 0) <= findTombstone(sql, row.bound_user),
  }));
}

/** Certificates of an issuer whose intent is stored and whose signature is not, oldest first, a hundred at most. */
export function unfinishedIntents(
  sql: SqlStorage,
  issuerId: string,
  olderThanMs: number,
): number[] {
  return sql
    .exec<{ certificate_number: number }>(
      `SELECT certificate_number FROM certificates
       WHERE status = 'intent' AND issuer_id = ? AND created_at_ms <= ?
       ORDER BY certificate_number LIMIT 100`,
      issuerId,
      olderThanMs,
    )
    .toArray()
    .map((row) => row.certificate_number);
}

/** A suspended certificate may be released again, so it counts. */
const unboundStatuses: ReadonlyArray<CertificateRow['status']> = ['intent', 'issued', 'suspended'];

/** The user's bindings of this epoch and of older ones are void in this shard; 0 when none are. */
export function findTombstone(sql: SqlStorage, userId: string): number {
  const [row] = sql
    .exec<{ epoch: number }>('SELECT epoch FROM user_tombstones WHERE user_id = ?', userId)
    .toArray();
  return row?.epoch ?? 0;
}

/**
 * Unbound certificates that could still be used: intents count from the moment they are stored, expired ones no longer.
 */
export function countUnbound(certificates: readonly CertificateRow[], nowMs: number): number {
  return certificates.filter(
    (row) => unboundStatuses.includes(row.status) && row.not_after_ms >= nowMs,
  ).length;
}

export function findToken(sql: SqlStorage, tokenSha256: Uint8Array) {
  return readOne(
    tokenRow,
    sql.exec(
      `SELECT device_id, expires_at_ms, spent_by_spki_sha256 FROM enrollment_tokens
       WHERE token_sha256 = ?`,
      tokenSha256,
    ),
  );
}

export function findDevice(sql: SqlStorage, deviceId: string): DeviceRow | undefined {
  return readOne(
    deviceRow,
    sql.exec(
      'SELECT device_id, serial_number, hardware_uuid, created_at_ms FROM devices WHERE device_id = ?',
      deviceId,
    ),
  );
}

export function sameBytes(a: Uint8Array | null, b: Uint8Array): boolean {
  return a !== null && a.length === b.length && a.every((byte, index) => byte === b[index]);
}
