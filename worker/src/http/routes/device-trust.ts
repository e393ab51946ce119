import { deviceTrustInput } from '@countersign/protocol/admin-device-trust';
import { isInUse } from '../../admin/integration-impact.ts';
import { completeAt, currentSnapshot, showChange } from '../answer-change.ts';
import { askObject } from '../broker.ts';
import { findImpact } from '../find-impact.ts';
import { forAdmin } from '../for-admin.ts';
import { readBody } from '../read-body.ts';
import { inUse } from '../refuse-while-in-use.ts';

/** Device trust as a whole, switched off and on; nothing is revoked by it. */

/** `GET /v1/admin/device-trust`. */
export const getDeviceTrust = forAdmin('mode.read', async (broker, context) => {
  const snapshot = await currentSnapshot(broker);
  if (snapshot === undefined) return context.refuse({ code: 'snapshot_unavailable' });
  const found = await findImpact(broker, snapshot);
  if (!found.ok) return context.refuse({ code: found.code });
  return Response.json({
    enabled: snapshot.deviceTrustEnabled,
    impact: found.impact,
    organization_version: snapshot.version,
  });
});

/** `PUT /v1/admin/device-trust`. */
export const putDeviceTrust = forAdmin(
  {
    permission: 'mode.write',
    event: 'admin.device_trust.update',
    recorded: 'with_change',
    whileReadOnly: true,
  },
  async (broker, context) => {
    const body = await readBody(context.request, deviceTrustInput);
    if (!body.ok) return context.refuse(body.problem);
    const { enabled, override } = body.value;
    const snapshot = await currentSnapshot(broker);
    if (snapshot === undefined) return context.refuse({ code: 'snapshot_unavailable' });
    const { readOnly } = snapshot;
    // Taking trust away is not what a broker is read-only for.
    if (readOnly !== undefined && enabled) {
      return context.refuse({ code: 'read_only', retryAfterSeconds: readOnly.retryAfterSeconds });
    }
    const found = await findImpact(broker, snapshot);
    if (!found.ok) return context.refuse({ code: found.code });
    const { impact } = found;
    if (snapshot.deviceTrustEnabled && !enabled && !override && isInUse(impact)) {
      return context.refuse(inUse(impact, 'device_trust_in_use'));
    }
    const changed = await askObject(() =>
      broker.organization().setDeviceTrust(context.admin.adminId, enabled, override),
    );
    if (!changed.ok) return context.refuse({ code: changed.code });
    await showChange(broker, context, 'device_trust', changed);
    return Response.json({
      enabled: changed.value,
      organization_version: changed.version,
      changed: changed.changed,
      complete_at: completeAt(),
      ...(changed.changed && enabled ? { takes_effect: { ...impact, steps: [] } } : {}),
    });
  },
);
