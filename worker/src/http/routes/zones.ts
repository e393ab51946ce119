import { zoneInput } from '@countersign/policy';
import { chosenId, parseFields } from '@countersign/protocol/schemas';
import { answerChange, currentSnapshot } from '../answer-change.ts';
import { askObject } from '../broker.ts';
import { forAdmin } from '../for-admin.ts';
import { readBody } from '../read-body.ts';

/** Named networks. */

const maxZoneBytes = 256 * 1024;

/** `GET /v1/admin/zones`. */
export const getZones = forAdmin('applications.read', async (broker, context) => {
  const snapshot = await currentSnapshot(broker);
  return snapshot === undefined
    ? context.refuse({ code: 'snapshot_unavailable' })
    : Response.json({ zones: snapshot.zones });
});

/** `PUT /v1/admin/zones/{id}`. */
export const putZone = forAdmin(
  { permission: 'applications.write', event: 'admin.zone.update', recorded: 'with_change' },
  async (broker, context) => {
    const id = parseFields(chosenId, context.parameter('id'));
    if (!id.ok) return context.refuse({ code: 'field_invalid', field: 'id', detail: id.detail });
    const body = await readBody(context.request, zoneInput, ['application/json'], maxZoneBytes);
    if (!body.ok) return context.refuse(body.problem);
    const changed = await askObject(() =>
      broker.organization().putZone(context.admin.adminId, id.value, body.value),
    );
    if (!changed.ok) return context.refuse({ code: changed.code });
    return await answerChange(broker, context, id.value, changed);
  },
);

/** `DELETE /v1/admin/zones/{id}`. */
export const deleteZone = forAdmin(
  { permission: 'applications.write', event: 'admin.zone.delete', recorded: 'with_change' },
  async (broker, context) => {
    const id = context.parameter('id');
    const changed = await askObject(() =>
      broker.organization().removeZone(context.admin.adminId, id),
    );
    if (!changed.ok) {
      return changed.code === 'zone_in_use'
        ? context.refuse({ code: changed.code, detail: changed.by })
        : context.refuse({ code: changed.code });
    }
    return await answerChange(broker, context, id, changed);
  },
);
