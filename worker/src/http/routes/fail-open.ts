import { createHash } from 'node:crypto';
import { encodeBase64url } from '@countersign/protocol';
import {
  type FailOpenClaims,
  type FailOpenReport,
  failOpenInput,
  failOpenRenewalSeconds,
  failOpenReports,
  failOpenRequest,
  failOpenTyp,
} from '@countersign/protocol/fail-open';
import type { SystemLogEvent } from '../../audit/system-log-event.ts';
import { currentTimeMs } from '../../clock.ts';
import { shardOfId } from '../../device/placement.ts';
import { encodeHeader, signCompactJws } from '../../token/compact-jws.ts';
import { answerChange, currentSnapshot } from '../answer-change.ts';
import { authenticateRequest } from '../authenticate-request.ts';
import { askObject, type Broker, deviceShard } from '../broker.ts';
import { forAdmin } from '../for-admin.ts';
import { readBody } from '../read-body.ts';
import { logEvent, type RouteContext } from '../route-context.ts';

/** Fail-open: the setting, the statements that follow from it, and what sign-in servers report afterwards. */

/** `GET /v1/admin/applications/{id}/fail-open`. */
export const getFailOpen = forAdmin('applications.read', async (broker, context) => {
  const application_id = context.parameter('id');
  const snapshot = await currentSnapshot(broker);
  if (snapshot === undefined) return context.refuse({ code: 'snapshot_unavailable' });
  const application = snapshot.applications.get(application_id);
  if (application === undefined) return context.refuse({ code: 'application_not_found' });
  const { fail_open, fail_open_statements_end_at_ms } = application;
  return Response.json({
    application_id,
    enabled: fail_open !== undefined,
    ...fail_open,
    ...stillToEnd(fail_open_statements_end_at_ms),
    organization_version: snapshot.version,
  });
});

/** `PUT /v1/admin/applications/{id}/fail-open`. */
export const putFailOpen = forAdmin(
  {
    permission: 'applications.write',
    event: 'admin.fail_open.update',
    recorded: 'with_change',
    whileReadOnly: true,
  },
  async (broker, context) => {
    const id = context.parameter('id');
    const body = await readBody(context.request, failOpenInput);
    if (!body.ok) return context.refuse(body.problem);
    const snapshot = await currentSnapshot(broker);
    if (snapshot === undefined) return context.refuse({ code: 'snapshot_unavailable' });
    const { readOnly } = snapshot;
    // To take it away is not what a broker is read-only for.
    if (readOnly !== undefined && body.value.enabled) {
      return context.refuse({ code: 'read_only', retryAfterSeconds: readOnly.retryAfterSeconds });
    }
    const changed = await askObject(() =>
      broker.organization().setFailOpen(context.admin.adminId, id, body.value),
    );
    if (!changed.ok) return context.refuse({ code: changed.code });
    return await answerChange(broker, context, id, changed, stillToEnd(changed.value));
  },
);

/** What an earlier, longer setting has left behind, until that is over. */
const stillToEnd = (endMs: number | undefined) =>
  endMs === undefined || endMs <= currentTimeMs()
    ? {}
    : { statements_end_at: new Date(endMs).toISOString() };

/** `POST /v1/fail-open-statements`: what a sign-in server shows itself, should this broker be away. */
export async function postFailOpenStatement(
  broker: Broker,
  context: RouteContext,
): Promise<Response> {
  const authenticated = await authenticateRequest(broker, context);
  if (!authenticated.ok) return authenticated.response;
  const body = await readBody(context.request, failOpenRequest);
  if (!body.ok) return context.refuse(body.problem);
  const { application } = body.value;
  const { client, read } = authenticated;
  const setting = client.applications.includes(application)
    ? read.snapshot.applications.get(application)?.fail_open
    : undefined;
  if (setting === undefined) return context.refuse({ code: 'fail_open_off' });
  const { active } = broker.decisionKeys;
  const iat = Math.floor(currentTimeMs() / 1000);
  const claims: FailOpenClaims = {
    iss: broker.brokerUrl,
    aud: client.client_id,
    application,
    jti: encodeBase64url(crypto.getRandomValues(new Uint8Array(16))),
    iat,
    exp: iat + setting.max_age_seconds,
  };
  return Response.json({
    statement: await signCompactJws(
      encodeHeader(failOpenTyp, active.kid),
      claims,
      active.privateKey,
    ),
    renew_after_seconds: Math.min(failOpenRenewalSeconds, Math.floor(setting.max_age_seconds / 2)),
  });
}

/** Of client and report: no client can choose the id of anything else, or of another client's report. */
const recordIdOf = (clientId: string, reportId: string) =>
  createHash('sha256')
    .update(`fail-open-report\n${clientId}\n${reportId}`)
    .digest()
    .subarray(0, 16)
    .toString('base64url');

function eventOf(clientId: string, report: FailOpenReport): SystemLogEvent {
  return {
    event_type: 'user.authentication.fail_open',
    outcome: 'SUCCESS',
    reason: report.cause,
    actor: { type: 'client', id: clientId },
    user: report.subject,
    debug_data: {
      application: report.application,
      client_id: clientId,
      occurred_at: report.occurred_at,
      report_id: report.report_id,
      statement_id: report.statement_id,
    },
  };
}

/**
 * `POST /v1/fail-open-reports`: sign-ins that were let in without a decision, as their client says. Recorded whatever the
 * setting is by now; each once, however often it comes.
 */
export async function postFailOpenReports(
  broker: Broker,
  context: RouteContext,
): Promise<Response> {
  const authenticated = await authenticateRequest(broker, context);
  if (!authenticated.ok) return authenticated.response;
  const body = await readBody(context.request, failOpenReports);
  if (!body.ok) return context.refuse(body.problem);
  const { client_id } = authenticated.client;
  const { reports } = body.value;
  const byShard = Map.groupBy(
    reports.map((report) => ({
      id: recordIdOf(client_id, report.report_id),
      event: eventOf(client_id, report),
    })),
    ({ id }) => shardOfId(id, broker.shardCount) ?? 0,
  );
  const recorded = await Promise.all(
    [...byShard].map(([shard, events]) =>
      askObject(() => deviceShard(broker, shard).recordOnce(shard, events)),
    ),
  );
  const failed = recorded.find(({ ok }) => !ok);
  // What is on record stays there: the same reports may be sent again.
  if (failed !== undefined) return context.refuse({ code: 'storage_unavailable' });
  logEvent('fail_open_reported', {
    request_id: context.requestId,
    client: client_id,
    reports: reports.length,
  });
  return Response.json({ recorded: reports.length });
}
