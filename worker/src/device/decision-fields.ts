import { encodeBase64url } from '@countersign/protocol';
import type { DecisionRecord } from '@countersign/protocol/decision-record';
import type { CertificateStandingRow } from './certificate-records.ts';
import type { NamedCertificates } from './named-certificates.ts';
import type { Evidence, SignIn } from './sign-in.ts';

function evidenceFields(evidence: Evidence) {
  if (!evidence.ok) return {};
  const { response, mtls, reportedUnavailable } = evidence;
  const first = response ?? mtls;
  const both = response !== undefined && mtls !== undefined;
  const single = response === undefined ? 'mtls' : 'extension';
  return {
    channel: both ? 'both' : single,
    ...(first === undefined
      ? {}
      : { certificate_sha256: encodeBase64url(first.certificateSha256) }),
    ...(both ? { mtls_certificate_sha256: encodeBase64url(mtls.certificateSha256) } : {}),
    ...(reportedUnavailable === undefined ? {} : { reported_unavailable: reportedUnavailable }),
    ...(response === undefined
      ? {}
      : {
          response: {
            origin: response.claims.origin,
            device_time_seconds: response.claims.iat,
            host_version: response.claims.host_version,
            key_protection: response.claims.key_protection,
            development: response.claims.development,
            posture: response.claims.posture,
          },
        }),
  } as const;
}

/** What the policy was asked about beyond what the record has anyway. */
function factFields(
  { facts }: SignIn,
  { first, report }: NamedCertificates,
  nowMs: number,
): Pick<DecisionRecord, 'facts'> {
  const { groups, ipAddress, clientType, platform } = facts;
  const fields = {
    ...(groups.size === 0 ? {} : { groups: [...groups].toSorted() }),
    ...(ipAddress === undefined ? {} : { ip_address: ipAddress }),
    ...(clientType === undefined ? {} : { client_type: clientType }),
    ...(platform === undefined ? {} : { platform }),
    ...(first === undefined
      ? {}
      : {
          enrollment_strength: first.enrollment_strength,
          certificate_age_seconds: certificateAgeSeconds(first, nowMs),
        }),
    ...(report === undefined ? {} : { posture_report: report }),
  };
  return Object.keys(fields).length === 0 ? {} : { facts: fields };
}

export const certificateAgeSeconds = (
  { not_before_ms }: Pick<CertificateStandingRow, 'not_before_ms'>,
  nowMs: number,
): number => Math.floor((nowMs - not_before_ms) / 1000);

/** The part of a record that follows from the request and the certificates alone, whatever is decided. */
export function requestFields(
  context: { readonly shard: number; readonly nowMs: number },
  signIn: SignIn,
  named: NamedCertificates,
) {
  const { first, lineageMismatch } = named;
  const { completion } = signIn;
  return {
    shard: context.shard,
    recorded_at_ms: context.nowMs,
    stage: completion === undefined ? 0 : 1,
    client_id: signIn.clientId,
    subject_type: signIn.subjectType,
    subject: signIn.subject,
    resource_type: signIn.resourceType,
    application: signIn.application,
    action: signIn.action,
    subject_authenticated: signIn.subjectAuthenticated,
    transaction_hash: signIn.transactionHash,
    request_hash: signIn.requestHash,
    organization_version: signIn.snapshot.version,
    policy_version: signIn.policy?.version ?? 0,
    device_id: first?.device_id ?? '',
    ...(first === undefined ? {} : { certificate_number: first.certificate_number }),
    ...evidenceFields(signIn.evidence),
    ...factFields(signIn, named, context.nowMs),
    ...(lineageMismatch ? ({ alarm: 'lineage_mismatch' } as const) : {}),
    ...(completion === undefined
      ? {}
      : {
          asserted: {
            ...(completion.acr === undefined ? {} : { acr: completion.acr }),
            amr: [...completion.amr],
          },
        }),
  } as const satisfies Partial<DecisionRecord>;
}
