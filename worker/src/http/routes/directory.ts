import {
  directoryImport,
  directoryInput,
  directoryResumption,
} from '@countersign/protocol/admin-directory';
import { completeAt, showChange } from '../answer-change.ts';
import { askObject, type Broker } from '../broker.ts';
import { type AdminContext, forAdmin } from '../for-admin.ts';
import { readBody } from '../read-body.ts';

/** How the directory is taken over, for administrators. */

/** Fifty thousand people with their groups. */
const maxImportBytes = 24 * 1024 * 1024;

async function answerDirectory(broker: Broker, context: AdminContext): Promise<Response> {
  const found = await askObject(() => broker.organization().directory());
  if (!found.ok) return context.refuse({ code: found.code });
  const { sync, users, groups, quota, stops, version } = found;
  return Response.json({
    ...sync,
    users,
    groups,
    removals: { counted: quota.counted, allowed: quota.allowed },
    stopped: stops.map(({ scope, since_ms, refused, user_ids }) => ({
      ...(scope.startsWith('group:') ? { group_id: scope.slice('group:'.length) } : {}),
      since: new Date(since_ms).toISOString(),
      refused,
      user_ids,
    })),
    organization_version: version,
  });
}

/** `GET /v1/admin/directory`. */
export const getDirectory = forAdmin('users.read', answerDirectory);

/** `PUT /v1/admin/directory`. */
export const putDirectory = forAdmin(
  { permission: 'directory.write', event: 'admin.directory.update', recorded: 'with_change' },
  async (broker, context) => {
    const body = await readBody(context.request, directoryInput);
    if (!body.ok) return context.refuse(body.problem);
    const changed = await askObject(() =>
      broker.organization().setDirectorySync(context.admin.adminId, body.value),
    );
    if (!changed.ok) return context.refuse({ code: changed.code });
    await showChange(broker, context, 'directory', changed);
    return await answerDirectory(broker, context);
  },
);

/** `POST /v1/admin/directory/resume`. */
export const postDirectoryResumption = forAdmin(
  { permission: 'directory.write', event: 'admin.directory.resume', recorded: 'with_change' },
  async (broker, context) => {
    const body = await readBody(context.request, directoryResumption);
    if (!body.ok) return context.refuse(body.problem);
    const resumed = await askObject(() =>
      broker.organization().resumeDirectory(context.admin.adminId, body.value),
    );
    if (!resumed.ok) return context.refuse({ code: resumed.code });
    await showChange(broker, context, 'directory', resumed);
    return await answerDirectory(broker, context);
  },
);

/** `PUT /v1/admin/directory/import`. */
export const putDirectoryImport = forAdmin(
  { permission: 'directory.write', event: 'admin.directory.import', recorded: 'with_change' },
  async (broker, context) => {
    const types = ['application/json'];
    const body = await readBody(context.request, directoryImport, types, maxImportBytes);
    if (!body.ok) return context.refuse(body.problem);
    const imported = await askObject(() =>
      broker.organization().importDirectory(context.admin.adminId, body.value),
    );
    if (!imported.ok) return context.refuse(imported);
    await showChange(broker, context, 'directory', imported);
    return Response.json({
      dry_run: body.value.dry_run,
      ...imported.value,
      organization_version: imported.version,
      changed: imported.changed,
      complete_at: completeAt(),
    });
  },
);
