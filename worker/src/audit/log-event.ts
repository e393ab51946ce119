import { encodeBase64url } from '@countersign/protocol';
import { type DecisionRecord, decisionRecord } from '@countersign/protocol/decision-record';
import type { LogEvent, LogResult } from '@countersign/protocol/system-log';
import { type AccessRecord, accessRecord } from '../device/access-record.ts';
import {
  accessDisplayMessage,
  accessEventType,
  authenticationDisplayMessage,
  authenticationEventType,
  type SystemLogRecord,
  systemLogRecord,
} from './system-log-event.ts';

/** Rows of the chains as the system log shows them: sign-ins, access and events alike. */

/** A row as it is stored in its chain. */
export type ChainRow = {
  readonly sequence: number;
  /** Canonical JSON. */
  readonly record: string;
  readonly hash: Uint8Array;
};

type RowRecord =
  | { readonly kind: 'decision'; readonly decision: DecisionRecord }
  | { readonly kind: 'access'; readonly access: AccessRecord }
  | { readonly kind: 'event'; readonly event: SystemLogRecord }
  /** A row that this version cannot read, or that somebody has changed: it is shown, not hidden. */
  | { readonly kind: 'unreadable' };

function parseRecord(record: string): RowRecord {
  try {
    const json: unknown = JSON.parse(record);
    const event = systemLogRecord.safeParse(json);
    if (event.success) return { kind: 'event', event: event.data };
    const decision = decisionRecord.safeParse(json);
    if (decision.success) return { kind: 'decision', decision: decision.data };
    const access = accessRecord.safeParse(json);
    if (access.success) return { kind: 'access', access: access.data };
  } catch {
    // Not JSON either.
  }
  return { kind: 'unreadable' };
}

const timeOf = (ms: number) => new Date(ms).toISOString();

function resultOf({ decision, pending }: DecisionRecord): LogResult {
  if (decision) return 'SUCCESS';
  return pending === undefined ? 'FAILURE' : 'CHALLENGE';
}

/** Members that are absent stay out; what is no text becomes one. */
function textsOf(members: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(members)
      .filter(([, value]) => value !== undefined && value !== '')
      .map(([name, value]) => [name, String(value)]),
  );
}

function decisionDebugData(record: DecisionRecord): Record<string, string> {
  const { response, pending, asserted } = record;
  const factor = pending?.factor;
  return textsOf({
    device_id: record.device_id,
    device_trusted: record.device_trusted,
    untrusted_reason: record.untrusted_reason,
    decision_id: record.id,
    stage: record.stage,
    client_id: record.client_id,
    resource_type: record.resource_type,
    action: record.action,
    rule: record.rule,
    policy_version: record.policy_version,
    organization_version: record.organization_version,
    subject_authenticated: record.subject_authenticated,
    bound_now: record.bound_now,
    channel: record.channel,
    alarm: record.alarm,
    reported_unavailable: record.reported_unavailable,
    spent_id: record.spent_id,
    certificate_number: record.certificate_number,
    mtls_certificate_sha256: record.mtls_certificate_sha256,
    origin: response?.origin,
    host_version: response?.host_version,
    key_protection: response?.key_protection,
    development: response?.development,
    platform: response?.posture.platform,
    os_version: response?.posture.os_version,
    factor_wanted: [...(factor?.acr_values ?? []), ...(factor?.amr_values ?? [])].join(' '),
    asserted_acr: asserted?.acr,
    asserted_amr: asserted?.amr.join(' '),
  });
}

type EventBody = Omit<LogEvent, 'uuid' | 'record'>;

function showDecision(record: DecisionRecord, serialNumber: string | undefined): EventBody {
  const result = resultOf(record);
  const { certificate_sha256: fingerprint } = record;
  return {
    published: timeOf(record.recorded_at_ms),
    eventType: authenticationEventType,
    displayMessage: authenticationDisplayMessage,
    severity: result === 'FAILURE' || record.alarm !== undefined ? 'WARN' : 'INFO',
    outcome: { result, reason: record.reason },
    actor: { type: record.subject_type, id: record.subject },
    user: record.subject,
    application: record.application,
    ...(fingerprint === undefined
      ? {}
      : {
          certificate: {
            fingerprintSha256: fingerprint,
            ...(serialNumber === undefined ? {} : { serialNumber }),
          },
        }),
    debugContext: { debugData: decisionDebugData(record) },
  };
}

/** How many evaluations of a row are told one by one; the row itself has them all. */
const mostTold = 16;

/** The value that all have, where they have one. */
const common = <Value>([first, ...others]: readonly Value[]): Value | undefined =>
  others.every((other) => other === first) ? first : undefined;

function showAccess({
  recorded_at_ms,
  client_id,
  evaluations,
  ...record
}: AccessRecord): EventBody {
  const denied = evaluations.filter(({ decision }) => !decision);
  const result = denied.length === 0 ? 'SUCCESS' : 'FAILURE';
  const reason = common((denied.length === 0 ? evaluations : denied).map((one) => one.reason));
  const subject = common(evaluations.map((one) => one.subject));
  const subjectType = common(evaluations.map((one) => one.subject_type));
  const application = common(evaluations.map((one) => one.application));
  const told = evaluations.slice(0, mostTold).map((one, place) => {
    const word = one.decision ? 'allowed' : 'denied';
    const asked = `${one.subject_type} ${one.subject}, ${one.action}, ${one.resource_type} ${one.resource}`;
    return [`evaluation_${place}`, `${asked}: ${word}, ${one.reason}, rule ${one.rule}`];
  });
  return {
    published: timeOf(recorded_at_ms),
    eventType: accessEventType,
    displayMessage: accessDisplayMessage,
    severity: result === 'FAILURE' ? 'WARN' : 'INFO',
    outcome: { result, ...(reason === undefined ? {} : { reason }) },
    actor: {
      type: subjectType ?? 'several',
      ...(subject === undefined ? {} : { id: subject }),
    },
    ...(subject === undefined || subjectType !== 'user' ? {} : { user: subject }),
    ...(application === undefined ? {} : { application }),
    debugContext: {
      debugData: textsOf({
        client_id,
        decision_id: record.id,
        organization_version: record.organization_version,
        evaluations: evaluations.length,
        denied: denied.length,
        ...Object.fromEntries(told),
      }),
    },
  };
}

/** A failure, and what was let in without a decision. */
const isWorthALook = ({ outcome, event_type }: SystemLogRecord) =>
  outcome === 'FAILURE' || event_type === 'user.authentication.fail_open';

function showEvent(record: SystemLogRecord): EventBody {
  const { certificate, reason, user, integration_id, strength, actor } = record;
  const { application } = record.debug_data;
  return {
    published: timeOf(record.recorded_at_ms),
    eventType: record.event_type,
    displayMessage: record.display_message,
    severity: isWorthALook(record) ? 'WARN' : 'INFO',
    outcome: { result: record.outcome, ...(reason === undefined ? {} : { reason }) },
    actor,
    ...(user === undefined ? {} : { user }),
    ...(application === undefined ? {} : { application }),
    ...(integration_id === undefined || integration_id === ''
      ? {}
      : { integrationId: integration_id }),
    ...(certificate === undefined
      ? {}
      : {
          certificate: {
            serialNumber: certificate.serial_number,
            issuerId: certificate.issuer_id,
            ...(certificate.fingerprint_sha256 === undefined
              ? {}
              : { fingerprintSha256: certificate.fingerprint_sha256 }),
          },
        }),
    ...(strength === undefined ? {} : { enrollmentStrength: strength }),
    debugContext: { debugData: record.debug_data },
  };
}

function showUnreadable(nowMs: number): EventBody {
  return {
    published: timeOf(nowMs),
    eventType: 'log.record.unreadable',
    displayMessage: 'Record that cannot be read',
    severity: 'WARN',
    outcome: { result: 'FAILURE', reason: 'record_unreadable' },
    actor: { type: 'system' },
    debugContext: { debugData: {} },
  };
}

export type ShowContext = {
  /** Serial number of a certificate by its fingerprint, which is all that decisions name. */
  readonly serialNumberOf: (fingerprintSha256: string) => string | undefined;
  /** For a row that does not say when it was recorded. */
  readonly nowMs: number;
};

export function showRow(
  chain: string,
  row: ChainRow,
  { serialNumberOf, nowMs }: ShowContext,
): LogEvent {
  const parsed = parseRecord(row.record);
  let body: EventBody;
  if (parsed.kind === 'event') body = showEvent(parsed.event);
  else if (parsed.kind === 'access') body = showAccess(parsed.access);
  else if (parsed.kind === 'decision') {
    const { certificate_sha256: fingerprint } = parsed.decision;
    body = showDecision(
      parsed.decision,
      fingerprint === undefined ? undefined : serialNumberOf(fingerprint),
    );
  } else body = showUnreadable(nowMs);
  return {
    uuid: encodeBase64url(row.hash),
    ...body,
    record: { chain, sequence: row.sequence },
  };
}
