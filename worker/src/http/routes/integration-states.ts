import {
  type IntegrationState,
  integrationStateInput,
} from '@countersign/protocol/admin-integrations';
import { describeIntegration } from '../../admin/describe-integration.ts';
import { isInUse } from '../../admin/integration-impact.ts';
import { completeAt, currentSnapshot, showChange } from '../answer-change.ts';
import { askObject } from '../broker.ts';
import { findImpact } from '../find-impact.ts';
import { forAdmin } from '../for-admin.ts';
import { readBody } from '../read-body.ts';
import { inUse, refuseWhileInUse } from '../refuse-while-in-use.ts';
import { integrationProblem } from './integrations.ts';

/** The states of an integration, and its end: whoever would be locked out is named before it happens. */

/** `GET /v1/admin/integrations/{id}/impact`: what would break, or would begin to count. */
export const getIntegrationImpact = forAdmin('integrations.read', async (broker, context) => {
  const id = context.parameter('id');
  const snapshot = await currentSnapshot(broker);
  if (snapshot === undefined) return context.refuse({ code: 'snapshot_unavailable' });
  if (!snapshot.integrations.has(id)) return context.refuse({ code: 'integration_not_found' });
  const found = await findImpact(broker, snapshot, id);
  if (!found.ok) return context.refuse({ code: found.code });
  return Response.json(found.impact);
});

/** To fewer people as well: those who are in none of the groups any more lose what they have. */
function narrows(before: IntegrationState, after: IntegrationState): boolean {
  if (before.mode === 'disabled' || after.mode === 'all_users') return false;
  if (before.mode === 'all_users' || after.mode === 'disabled') return true;
  return before.groups.some((group) => !after.groups.includes(group));
}

/** `PUT /v1/admin/integrations/{id}/state`. */
export const putIntegrationState = forAdmin(
  {
    permission: 'integrations.write',
    event: 'admin.integration.set_state',
    recorded: 'with_change',
    whileReadOnly: true,
  },
  async (broker, context) => {
    const id = context.parameter('id');
    const body = await readBody(context.request, integrationStateInput);
    if (!body.ok) return context.refuse(body.problem);
    const { state, override } = body.value;
    const snapshot = await currentSnapshot(broker);
    if (snapshot === undefined) return context.refuse({ code: 'snapshot_unavailable' });
    const before = snapshot.integrations.get(id);
    if (before === undefined) return context.refuse({ code: 'integration_not_found' });
    const { readOnly } = snapshot;
    if (readOnly !== undefined && state.mode !== 'disabled') {
      return context.refuse({ code: 'read_only', retryAfterSeconds: readOnly.retryAfterSeconds });
    }
    const found = await findImpact(broker, snapshot, id);
    if (!found.ok) return context.refuse({ code: found.code });
    const { impact } = found;
    if (narrows(before.state, state) && !override && isInUse(impact))
      return context.refuse(inUse(impact));
    const changed = await askObject(() =>
      broker.organization().setIntegrationState(context.admin.adminId, id, state, override),
    );
    if (!changed.ok) return context.refuse(integrationProblem(changed));
    await showChange(broker, context, id, changed);
    return Response.json({
      integration: describeIntegration(changed.value),
      organization_version: changed.version,
      changed: changed.changed,
      complete_at: completeAt(),
      ...(changed.changed && state.mode !== 'disabled'
        ? { takes_effect: { ...impact, steps: [] } }
        : {}),
    });
  },
);

/**
 * `DELETE /v1/admin/integrations/{id}`: its certificates count for nobody from now on, and are revoked in every shard by
 * a job. Repeated, it says how far that is.
 */
export const deleteIntegration = forAdmin(
  {
    permission: 'integrations.write',
    event: 'admin.integration.delete',
    recorded: 'with_change',
    whileReadOnly: true,
  },
  async (broker, context) => {
    const id = context.parameter('id');
    const override = new URL(context.request.url).searchParams.get('override');
    if (override !== null && override !== 'true' && override !== 'false') {
      return context.refuse({
        code: 'field_invalid',
        field: 'override',
        detail: 'must be true or false',
      });
    }
    const isOverride = override === 'true';
    const problem = isOverride ? undefined : await refuseWhileInUse(broker, id);
    if (problem !== undefined) return context.refuse(problem);
    const deleted = await askObject(() =>
      broker
        .organization()
        .deleteIntegration(context.admin.adminId, id, broker.shardCount, isOverride),
    );
    if (!deleted.ok) return context.refuse(integrationProblem(deleted));
    await showChange(broker, context, id, deleted);
    const { job_id, completed_at_ms } = deleted.value;
    const status = completed_at_ms === null ? 'pending' : 'complete';
    return Response.json(
      { integration_id: id, status, job_id },
      { status: status === 'pending' ? 202 : 200 },
    );
  },
);
