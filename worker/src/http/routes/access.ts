import { accessChange } from '@countersign/policy';
import { answerChange } from '../answer-change.ts';
import { askObject } from '../broker.ts';
import { forAdmin } from '../for-admin.ts';
import {
  askedVersion,
  readDocument,
  refusePolicyChange,
  showVersions,
  versionFactsOf,
} from '../policy-answers.ts';

/** What may be done inside of applications, each version of it. */

/** `GET /v1/admin/applications/{id}/access?version=…`: the one in force, or an older one. */
export const getAccess = forAdmin('applications.read', async (broker, context) => {
  const application_id = context.parameter('id');
  const asked = askedVersion(context);
  if (!asked.ok) return asked.response;
  const answered = await askObject(() =>
    broker.organization().findAccess(application_id, asked.version),
  );
  if (!answered.ok) return context.refuse({ code: answered.code });
  const { found } = answered;
  return Response.json({ application_id, access: found.access, ...versionFactsOf(found) });
});

/** `GET /v1/admin/applications/{id}/access/versions`. */
export const getAccessVersions = forAdmin('applications.read', async (broker, context) => {
  const application_id = context.parameter('id');
  const listed = await askObject(() => broker.organization().listAccessVersions(application_id));
  if (!listed.ok) return context.refuse({ code: listed.code });
  const versions = showVersions(listed.versions, versionFactsOf);
  return Response.json({ application_id, versions });
});

/** `PUT /v1/admin/applications/{id}/access`: in place of whatever there was. */
export const putAccess = forAdmin(
  { permission: 'applications.write', event: 'admin.access.update', recorded: 'with_change' },
  async (broker, context) => {
    const id = context.parameter('id');
    const body = await readDocument(context, accessChange);
    if (!body.ok) return context.refuse(body.problem);
    const changed = await askObject(() =>
      broker.organization().putAccess(context.admin.adminId, id, body.value),
    );
    return changed.ok
      ? await answerChange(broker, context, id, changed)
      : refusePolicyChange(context, changed);
  },
);
