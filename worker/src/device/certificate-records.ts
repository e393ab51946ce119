import { certificateStatuses } from '@countersign/protocol/admin';
import {
  certificateProfileNames,
  issuanceInterfaces,
  revocationReasons,
} from '@countersign/protocol/certificate-life';
import { enrollmentStrengths } from '@countersign/protocol/enrollment-strength';
import * as z from 'zod/mini';
import { blob, findTombstone, readOne } from './device-records.ts';

/** Rows of `certificates`, read with a schema: a row that does not fit is damage and fails closed. */

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
  enrollment_strength: z.enum(enrollmentStrengths),
  created_at_ms: z.int(),
  to_be_signed: z.nullable(blob),
  certificate: z.nullable(blob),
  certificate_sha256: z.nullable(blob),
  bound_user: z.nullable(z.string()),
  bound_epoch: z.nullable(z.int()),
  revoked_at_ms: z.nullable(z.int()),
  revocation_reason: z.nullable(z.enum(revocationReasons)),
  profile: z.enum(certificateProfileNames),
  integration_id: z.string(),
  issued_via: z.enum(issuanceInterfaces),
  crl_shard: z.nullable(z.int()),
  supersedes: z.nullable(z.int()),
  usable_until_ms: z.nullable(z.int()),
  status_version: z.int(),
  standing_changed_at_ms: z.nullable(z.int()),
  requested_user: z.nullable(z.string()),
  requested_epoch: z.nullable(z.int()),
});
export type CertificateRow = z.infer<typeof certificateRow>;
const certificateColumns = Object.keys(certificateRow.shape).join(', ');

/** What a decision needs of a certificate and its device. The certificate's bytes stay on the disk. */
const certificateStandingRow = z.extend(
  z.pick(certificateRow, {
    certificate_number: true,
    device_id: true,
    status: true,
    issuer_id: true,
    not_before_ms: true,
    not_after_ms: true,
    lineage: true,
    enrollment_strength: true,
    bound_user: true,
    bound_epoch: true,
    integration_id: true,
    usable_until_ms: true,
  }),
  {
    device_blocked: z.int(),
    /** JSON of the device's `ManagementFacts`. */
    device_management: z.nullable(z.string()),
  },
);
export type CertificateStandingRow = z.infer<typeof certificateStandingRow>;
const standingColumns = Object.keys(certificateStandingRow.shape)
  .filter((name) => !name.startsWith('device_') || name === 'device_id')
  .map((name) => `certificates.${name} AS ${name}`)
  .join(', ');

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
    sql.exec(
      `SELECT ${standingColumns}, COALESCE(devices.status = 'blocked', 0) AS device_blocked,
         devices.management AS device_management
       FROM certificates LEFT JOIN devices ON devices.device_id = certificates.device_id
       WHERE certificate_sha256 = ?`,
      sha256,
    ),
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

/**
 * Whose certificate it is: the user that it is bound to; before that, the one that it was asked for. With the end of
 * that user's epoch it ends.
 */
export const holderSql = 'COALESCE(bound_user, requested_user)';
export const holderEpochSql = 'COALESCE(bound_epoch, requested_epoch)';

/** As `holderSql`, of a row that was read. */
export function holderOf(
  row: Pick<CertificateRow, 'bound_user' | 'bound_epoch' | 'requested_user' | 'requested_epoch'>,
): { readonly userId: string; readonly epoch: number } | undefined {
  const userId = row.bound_user ?? row.requested_user;
  return userId === null
    ? undefined
    : { userId, epoch: row.bound_epoch ?? row.requested_epoch ?? 0 };
}

/** Certificates for which a condition of the code's own holds, by their numbers. */
export function selectCertificates(
  sql: SqlStorage,
  condition: string,
  ...bindings: SqlStorageValue[]
): CertificateRow[] {
  return sql
    .exec(
      `SELECT ${certificateColumns} FROM certificates WHERE ${condition} ORDER BY certificate_number`,
      ...bindings,
    )
    .toArray()
    .map((row) => certificateRow.parse(row));
}

export function certificatesOfDevice(sql: SqlStorage, deviceId: string): CertificateRow[] {
  return selectCertificates(sql, 'device_id = ?', deviceId);
}

export function certificatesOfLineage(
  sql: SqlStorage,
  { device_id, lineage }: Pick<CertificateRow, 'device_id' | 'lineage'>,
): CertificateRow[] {
  return selectCertificates(sql, 'device_id = ? AND lineage = ?', device_id, lineage);
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

/** Certificates of these issuers whose intent is stored and whose signature is not, oldest first, a hundred at most. */
export function unfinishedIntents(
  sql: SqlStorage,
  issuerIds: readonly string[],
  olderThanMs: number,
): number[] {
  return sql
    .exec<{ certificate_number: number }>(
      `SELECT certificate_number FROM certificates
       WHERE status = 'intent' AND created_at_ms <= ?
         AND issuer_id IN (SELECT value FROM json_each(?))
       ORDER BY certificate_number LIMIT 100`,
      olderThanMs,
      JSON.stringify(issuerIds),
    )
    .toArray()
    .map((row) => row.certificate_number);
}

/** The last moment at which the certificate counts, as far as its dates say. */
export function usableUntilMs(
  row: Pick<CertificateRow, 'not_after_ms' | 'usable_until_ms'>,
): number {
  return Math.min(row.not_after_ms, row.usable_until_ms ?? row.not_after_ms);
}

/**
 * Lineages that nobody has signed in with and that could still be used: a certificate and its renewals count once. An
 * intent counts from the moment it is stored; a suspended one may be released again, so it counts.
 */
export function countUnbound(certificates: readonly CertificateRow[], nowMs: number): number {
  return new Set(
    certificates
      .filter(
        (row) => row.bound_user === null && row.status !== 'revoked' && usableUntilMs(row) >= nowMs,
      )
      .map((row) => row.lineage),
  ).size;
}
