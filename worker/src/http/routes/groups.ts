import { groupInput } from '@countersign/protocol/admin-integrations';
import { chosenId, parseFields } from '@countersign/protocol/schemas';
import { answerChange } from '../answer-change.ts';
import { askObject } from '../broker.ts';
import { type AdminContext, forAdmin } from '../for-admin.ts';
import { readBody } from '../read-body.ts';

/** Groups of users. */

/** A hundred thousand members are more than others send. */
const maxGroupBytes = 16 * 1024 * 1024;

const readGroupId = (context: AdminContext) => parseFields(chosenId, context.parameter('id'));

/** `GET /v1/admin/groups`. */
export const getGroups = forAdmin('users.read', async (broker, context) => {
  const listed = await askObject(() => broker.organization().listGroups());
  if (!listed.ok) return context.refuse({ code: listed.code });
  return Response.json({ groups: listed.groups });
});

/** `GET /v1/admin/groups/{id}`. */
export const getGroup = forAdmin('users.read', async (broker, context) => {
  const found = await askObject(() => broker.organization().findGroup(context.parameter('id')));
  if (!found.ok) return context.refuse({ code: found.code });
  const { groupId, inGlobalPolicy, ...group } = found.group;
  return Response.json({ group_id: groupId, ...group, in_global_policy: inGlobalPolicy });
});

/** `PUT /v1/admin/groups/{id}`: its name, and all its members. */
export const putGroup = forAdmin(
  { permission: 'groups.write', event: 'admin.group.update', recorded: 'with_change' },
  async (broker, context) => {
    const id = readGroupId(context);
    if (!id.ok) return context.refuse({ code: 'field_invalid', field: 'id', detail: id.detail });
    const body = await readBody(context.request, groupInput, ['application/json'], maxGroupBytes);
    if (!body.ok) return context.refuse(body.problem);
    const changed = await askObject(() =>
      broker.organization().putGroup(context.admin.adminId, id.value, body.value),
    );
    if (!changed.ok) return context.refuse({ code: changed.code });
    return await answerChange(broker, context, id.value, changed);
  },
);

/** `DELETE /v1/admin/groups/{id}`. */
export const deleteGroup = forAdmin(
  { permission: 'groups.write', event: 'admin.group.delete', recorded: 'with_change' },
  async (broker, context) => {
    const id = context.parameter('id');
    const changed = await askObject(() =>
      broker.organization().removeGroup(context.admin.adminId, id),
    );
    if (!changed.ok) {
      return changed.code === 'group_in_use'
        ? context.refuse({ code: changed.code, detail: changed.by })
        : context.refuse({ code: changed.code });
    }
    return await answerChange(broker, context, id, changed);
  },
);
