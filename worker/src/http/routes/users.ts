import { userId, userInput, userRevocationInput } from '@countersign/protocol/admin-users';
import { parseFields } from '@countersign/protocol/schemas';
import { describeJob, describeUser } from '../../admin/describe-user.ts';
import { currentTimeMs } from '../../clock.ts';
import type { UserChange } from '../../directory/change-user.ts';
import type { Recorded } from '../../directory/record-change.ts';
import { askObject, type Broker } from '../broker.ts';
import { forAdmin } from '../for-admin.ts';
import { readBody } from '../read-body.ts';
import { logEvent, type RouteContext } from '../route-context.ts';

/** `/v1/admin/users/{id}…`: the segment as it was sent, since the router gives what it cannot decode as it is. */
const userSegment = 4;

function readUserId(context: RouteContext) {
  const segment = new URL(context.request.url).pathname.split('/')[userSegment] ?? '';
  try {
    const parsed = parseFields(userId, decodeURIComponent(segment));
    return parsed.ok ? parsed : ({ ok: false, detail: parsed.detail } as const);
  } catch {
    return { ok: false, detail: 'must be percent-encoded UTF-8' } as const;
  }
}

async function answerChange(
  broker: Broker,
  context: RouteContext,
  event: string,
  { changed, value: { user, job } }: Recorded<UserChange>,
  reason?: string,
): Promise<Response> {
  logEvent(event, {
    request_id: context.requestId,
    user_id: user.user_id,
    changed,
    epoch: user.epoch,
    job_id: job?.job_id,
    reason,
  });
  // This isolate follows the change at once; the others within the snapshot's age.
  if (changed) await broker.snapshots.refresh(currentTimeMs());
  return Response.json(
    {
      user_id: user.user_id,
      active: user.active === 1,
      epoch: user.epoch,
      status: job === undefined ? 'complete' : 'pending',
      ...(job === undefined ? {} : { job_id: job.job_id }),
    },
    { status: job === undefined ? 200 : 202 },
  );
}

/** `PUT /v1/admin/users/{id}`. */
export const putUser = forAdmin(
  {
    permission: 'users.write',
    event: 'admin.user.deactivate',
    recorded: 'with_change',
    whileReadOnly: true,
  },
  async (broker, context) => {
    const id = readUserId(context);
    if (!id.ok) return context.refuse({ code: 'field_invalid', field: 'id', detail: id.detail });
    const body = await readBody(context.request, userInput);
    if (!body.ok) return context.refuse(body.problem);
    const { active } = body.value;
    const change = await askObject(() =>
      broker.organization().setUserActive(context.admin.adminId, id.value, active),
    );
    if (!change.ok) return context.refuse({ code: change.code });
    const event = active ? 'user_reactivated' : 'user_deactivated';
    return await answerChange(broker, context, event, change);
  },
);

/** `POST /v1/admin/users/{id}/revoke`: ends every binding of a user who stays as active as before. */
export const postUserRevocation = forAdmin(
  {
    permission: 'users.write',
    event: 'admin.user.revoke',
    recorded: 'with_change',
    whileReadOnly: true,
  },
  async (broker, context) => {
    const id = readUserId(context);
    if (!id.ok) return context.refuse({ code: 'field_invalid', field: 'id', detail: id.detail });
    const body = await readBody(context.request, userRevocationInput);
    if (!body.ok) return context.refuse(body.problem);
    const { reason } = body.value;
    const change = await askObject(() =>
      broker.organization().revokeUser(context.admin.adminId, id.value, reason),
    );
    if (!change.ok) return context.refuse({ code: change.code });
    return await answerChange(broker, context, 'user_revoked', change, reason);
  },
);

/** `GET /v1/admin/users/{id}`. */
export const getUser = forAdmin('users.read', async (broker, context) => {
  const id = readUserId(context);
  if (!id.ok) return context.refuse({ code: 'field_invalid', field: 'id', detail: id.detail });
  const found = await askObject(() => broker.organization().describeUser(id.value));
  if (!found.ok) return context.refuse({ code: found.code });
  return Response.json(describeUser(found.user, found.boundShards, found.jobs));
});

/** `GET /v1/admin/jobs/{id}`. */
export const getJob = forAdmin('users.read', async (broker, context) => {
  const found = await askObject(() => broker.organization().findJob(context.parameter('id')));
  if (!found.ok) return context.refuse({ code: found.code });
  const job = describeJob(found.job);
  return Response.json(job, { status: job.status === 'complete' ? 200 : 202 });
});
