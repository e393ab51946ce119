import { encodeBase64url } from '@countersign/protocol';
import type { DecisionRecord } from './decision-record.ts';
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

/** The part of a record that follows from the request and the certificates alone, whatever is decided. */
export function requestFields(
  context: { readonly shard: number; readonly nowMs: number },
  signIn: SignIn,
  { first, lineageMismatch }: NamedCertificates,
) {
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
