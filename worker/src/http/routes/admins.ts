import { adminChange, adminInput, adminTokenInput } from '@countersign/protocol/admin-access';
import { randomId, randomSecret } from '../../admin/make-organization-secret.ts';
import { rolePermissions } from '../../admin/permissions.ts';
import { describeAdmin, sha256OfText } from '../../directory/admin-records.ts';
import { showChange } from '../answer-change.ts';
import { askObject } from '../broker.ts';
import { forAdmin } from '../for-admin.ts';
import { readBody } from '../read-body.ts';

/** Administrators. The owner token of the settings is none of them, and stays whatever becomes of them. */

const newToken = () => `cadm_${randomSecret()}`;

/** `GET /v1/admin/self`. */
export const getSelf = forAdmin('self.read', (_, { admin }) =>
  Response.json({
    admin_id: admin.adminId,
    role: admin.role,
    permissions: [...rolePermissions[admin.role]],
  }),
);

/** `GET /v1/admin/admins`. */
export const getAdmins = forAdmin('admins.read', async (broker, context) => {
  const listed = await askObject(() => broker.organization().listAdmins());
  if (!listed.ok) return context.refuse({ code: listed.code });
  return Response.json({ admins: listed.admins.map(describeAdmin) });
});

/** `POST /v1/admin/admins`: the token is shown this once. */
export const postAdmin = forAdmin(
  { permission: 'admins.write', event: 'admin.admin.create', recorded: 'with_change' },
  async (broker, context) => {
    const body = await readBody(context.request, adminInput);
    if (!body.ok) return context.refuse(body.problem);
    const id = `adm_${randomId()}`;
    const token = newToken();
    const tokenSha256 = await sha256OfText(token);
    const created = await askObject(() =>
      broker.organization().createAdmin(context.admin.adminId, id, body.value, tokenSha256),
    );
    if (!created.ok) return context.refuse({ code: created.code });
    await showChange(broker, context, id, created);
    const admin = describeAdmin(created.value);
    return Response.json({ admin, admin_token: token }, { status: 201 });
  },
);

/** `PUT /v1/admin/admins/{id}`. */
export const putAdmin = forAdmin(
  { permission: 'admins.write', event: 'admin.admin.update', recorded: 'with_change' },
  async (broker, context) => {
    const id = context.parameter('id');
    const body = await readBody(context.request, adminChange);
    if (!body.ok) return context.refuse(body.problem);
    const changed = await askObject(() =>
      broker.organization().changeAdmin(context.admin.adminId, id, body.value),
    );
    if (!changed.ok) return context.refuse({ code: changed.code });
    await showChange(broker, context, id, changed);
    return Response.json(describeAdmin(changed.value));
  },
);

/** `POST /v1/admin/admins/{id}/token`: a new one, shown this once; the one before is refused from now on. */
export const postAdminToken = forAdmin(
  { permission: 'admins.write', event: 'admin.admin_token.reset', recorded: 'with_change' },
  async (broker, context) => {
    const id = context.parameter('id');
    const body = await readBody(context.request, adminTokenInput);
    if (!body.ok) return context.refuse(body.problem);
    const token = newToken();
    const tokenSha256 = await sha256OfText(token);
    const { token_ttl_seconds: ttlSeconds } = body.value;
    const changed = await askObject(() =>
      broker.organization().renewAdminToken(context.admin.adminId, id, tokenSha256, ttlSeconds),
    );
    if (!changed.ok) return context.refuse({ code: changed.code });
    await showChange(broker, context, id, changed);
    return Response.json({ admin: describeAdmin(changed.value), admin_token: token });
  },
);

/** `DELETE /v1/admin/admins/{id}`: the token is refused from now on, for good. */
export const deleteAdmin = forAdmin(
  {
    permission: 'admins.write',
    event: 'admin.admin.revoke',
    recorded: 'with_change',
    whileReadOnly: true,
  },
  async (broker, context) => {
    const id = context.parameter('id');
    const changed = await askObject(() =>
      broker.organization().revokeAdmin(context.admin.adminId, id),
    );
    if (!changed.ok) return context.refuse({ code: changed.code });
    await showChange(broker, context, id, changed);
    return Response.json(describeAdmin(changed.value));
  },
);
