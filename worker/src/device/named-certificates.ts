import type { PostureReport } from '@countersign/protocol/posture';
import type { CertificateFacts } from '../policy/device-trust.ts';
import { type CertificateStandingRow, findCertificateStanding } from './certificate-records.ts';
import { countingReport, readManagement } from './management-facts.ts';
import type { SignIn } from './sign-in.ts';

/** The records of certificates, as far as this shard has them. */
export type FoundCertificates = {
  /** The one that names the device: the extension's, where both kinds of evidence were given. */
  readonly first: CertificateStandingRow | undefined;
  readonly all: ReadonlyArray<CertificateStandingRow | undefined>;
  /** Two were named, and they are not of one renewal lineage of one device. */
  readonly lineageMismatch: boolean;
};

/** Those that a sign-in's evidence names. */
export type NamedCertificates = FoundCertificates & {
  /** What the device's management has reported of it, where that counts. */
  readonly report: PostureReport | undefined;
};

/** @param sha256s of their bytes; `undefined` names none that there is */
export function findCertificates(
  sql: SqlStorage,
  sha256s: ReadonlyArray<Uint8Array | undefined>,
): FoundCertificates {
  const all = sha256s.map((sha256) =>
    sha256 === undefined ? undefined : findCertificateStanding(sql, sha256),
  );
  const [first] = all;
  const lineageMismatch = all.some(
    (row) => row?.device_id !== first?.device_id || row?.lineage !== first?.lineage,
  );
  return { first, all, lineageMismatch };
}

/** Looks certificates up by the SHA-256 of their bytes; nothing that is written in them is believed. */
export function findNamedCertificates(
  sql: SqlStorage,
  { evidence, integrations }: Pick<SignIn, 'evidence' | 'integrations'>,
  nowMs: number,
): NamedCertificates {
  if (!evidence.ok) return { first: undefined, all: [], lineageMismatch: false, report: undefined };
  const parts = [evidence.response, evidence.mtls].filter((part) => part !== undefined);
  const found = findCertificates(
    sql,
    parts.map(({ certificateSha256 }) => certificateSha256),
  );
  const management = readManagement(found.first?.device_management ?? null);
  return { ...found, report: countingReport(management, integrations, nowMs) };
}

export function certificateFacts(
  row: CertificateStandingRow | undefined,
  { activeIssuerIds, integrations }: Pick<SignIn, 'activeIssuerIds' | 'integrations'>,
): CertificateFacts | undefined {
  if (row === undefined) return undefined;
  return {
    status: row.status,
    notBeforeMs: row.not_before_ms,
    notAfterMs: row.not_after_ms,
    issuerActive: activeIssuerIds.includes(row.issuer_id),
    boundUser: row.bound_user ?? undefined,
    boundEpoch: row.bound_epoch ?? undefined,
    usableUntilMs: row.usable_until_ms ?? undefined,
    deviceBlocked: row.device_blocked !== 0,
    strength: row.enrollment_strength,
    integration: integrations.find(({ id }) => id === row.integration_id),
  };
}
