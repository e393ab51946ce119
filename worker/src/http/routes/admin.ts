import { encodeBase64url } from '@countersign/protocol';
import { applicationInput, clientInput, enrollmentTokenInput } from '@countersign/protocol/admin';
import { chosenId, parseFields } from '@countersign/protocol/schemas';
import { currentTimeMs } from '../../clock.ts';
import { answerChange } from '../answer-change.ts';
import { askObject, type Broker, deviceShard } from '../broker.ts';
import { createEnrollmentToken } from '../create-enrollment-token.ts';
import { findTrustedTooEarly } from '../find-trusted-too-early.ts';
import { forAdmin } from '../for-admin.ts';
import type { Problem } from '../problem.ts';
import { readBody } from '../read-body.ts';
import { readWhole } from '../read-whole.ts';
import { logEvent, type RouteContext } from '../route-context.ts';

/** `PUT /v1/admin/applications/{id}`. */
export const putApplication = forAdmin(
  { permission: 'applications.write', event: 'admin.application.update', recorded: 'with_change' },
  async (broker, context) => {
    const id = parseFields(chosenId, context.parameter('id'));
    if (!id.ok) return context.refuse({ code: 'field_invalid', field: 'id', detail: id.detail });
    const body = await readBody(context.request, applicationInput);
    if (!body.ok) return context.refuse(body.problem);
    const changed = await askObject(() =>
      broker.organization().putApplication(context.admin.adminId, id.value, body.value),
    );
    if (!changed.ok) return context.refuse({ code: changed.code });
    const read = await broker.snapshots.refresh(currentTimeMs());
    const policy = read.ok ? read.snapshot.applications.get(id.value)?.policy : undefined;
    const findings =
      policy === undefined ? [] : await findTrustedTooEarly(broker, new Map([[id.value, policy]]));
    return await answerChange(broker, context, id.value, changed, { findings });
  },
);

/** `PUT /v1/admin/clients/{id}`. */
export const putClient = forAdmin(
  { permission: 'applications.write', event: 'admin.client.update', recorded: 'with_change' },
  async (broker, context) => {
    const id = parseFields(chosenId, context.parameter('id'));
    if (!id.ok) return context.refuse({ code: 'field_invalid', field: 'id', detail: id.detail });
    const body = await readBody(context.request, clientInput);
    if (!body.ok) return context.refuse(body.problem);
    const changed = await askObject(() =>
      broker.organization().putClient(context.admin.adminId, id.value, body.value),
    );
    if (!changed.ok) {
      return changed.code === 'application_not_found'
        ? context.refuse({
            code: changed.code,
            field: 'applications',
            detail: changed.application,
          })
        : context.refuse({ code: changed.code });
    }
    return await answerChange(broker, context, id.value, changed);
  },
);

/** A token of an integration is for one that takes tokens. */
async function refuseIntegration(
  broker: Broker,
  { waitUntil }: RouteContext,
  integrationId: string | undefined,
): Promise<Problem | undefined> {
  if (integrationId === undefined) return undefined;
  const read = await broker.snapshots.read(currentTimeMs(), waitUntil);
  if (!read.ok) return { code: read.code };
  const integration = read.snapshot.integrations.get(integrationId);
  const field = 'integration_id';
  if (integration === undefined) return { code: 'integration_not_found', field };
  return integration.authority === 'one_time_token'
    ? undefined
    : {
        code: 'field_invalid',
        field,
        detail: `enrolls by ${integration.authority}, not by tokens`,
      };
}

/** `POST /v1/admin/enrollment-tokens`: a one-time token for one piece of hardware. The token is shown this once. */
export const postEnrollmentToken = forAdmin(
  { permission: 'tokens.create', event: 'admin.enrollment_token.create' },
  async (broker, context) => {
    const body = await readBody(context.request, enrollmentTokenInput);
    if (!body.ok) return context.refuse(body.problem);
    const { integration_id: integrationId, user } = body.value;
    const unfit = await refuseIntegration(broker, context, integrationId);
    if (unfit !== undefined) return context.refuse(unfit);
    const created = await createEnrollmentToken(broker, {
      hardwareId: body.value.hardware_id,
      ttlSeconds: body.value.ttl_seconds,
      integrationId,
      user,
    });
    if (!created.ok) return context.refuse(created);
    const { deviceId } = created;
    logEvent('enrollment_token_created', { request_id: context.requestId, device_id: deviceId });
    return Response.json(created.answer, { status: 201 });
  },
);

const maxPageRows = 1000;

/** `GET /v1/admin/shards/{shard}/decisions?after=…&limit=…`: the hash chain, oldest first. */
export const getDecisions = forAdmin('log.read', async (broker, context) => {
  const query = new URL(context.request.url).searchParams;
  const shard = readWhole(context.parameter('shard'), 0, broker.shardCount - 1);
  const after = readWhole(query.get('after') ?? '0', 0, Number.MAX_SAFE_INTEGER);
  const limit = readWhole(query.get('limit') ?? '100', 1, maxPageRows);
  for (const [field, value] of Object.entries({ shard, after, limit })) {
    if (value === undefined) {
      return context.refuse({
        code: 'field_invalid',
        field,
        detail: 'must be a whole number in range',
      });
    }
  }
  const page = await askObject(() =>
    deviceShard(broker, shard ?? 0).decisions(after ?? 0, limit ?? 100),
  );
  if (!page.ok) return context.refuse({ code: page.code });
  return Response.json({
    shard,
    decisions: page.rows.map((row) => ({ ...row, hash: encodeBase64url(row.hash) })),
    ...(page.start === undefined ? {} : { start: page.start }),
    head: { count: page.head.count, hash: encodeBase64url(page.head.hash) },
  });
});
