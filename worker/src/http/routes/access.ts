import { accessChange } from '@countersign/policy';
import type { AccessVersion } from '../../directory/access-records.ts';
import { answerChange } from '../answer-change.ts';
import { askObject } from '../broker.ts';
import { forAdmin } from '../for-admin.ts';
import { readBody } from '../read-body.ts';
import { readWhole } from '../read-whole.ts';

/** What may be done inside of applications, each version of it. */

/** Thousands of resources with what is known of them. */
const maxAccessBytes = 1024 * 1024;

const factsOf = ({
  author,
  comment,
  created_at_ms,
}: Pick<AccessVersion, 'author' | 'comment' | 'created_at_ms'>) => ({
  author,
  comment,
  created_at: new Date(created_at_ms).toISOString(),
});

/** `GET /v1/admin/applications/{id}/access?version=…`: the one in force, or an older one. */
export const getAccess = forAdmin('applications.read', async (broker, context) => {
  const application_id = context.parameter('id');
  const asked = new URL(context.request.url).searchParams.get('version');
  const version = asked === null ? undefined : readWhole(asked, 1, Number.MAX_SAFE_INTEGER);
  if (asked !== null && version === undefined) {
    const detail = 'must be a whole number in range';
    return context.refuse({ code: 'field_invalid', field: 'version', detail });
  }
  const found = await askObject(() => broker.organization().findAccess(application_id, version));
  if (!found.ok) return context.refuse({ code: found.code });
  return Response.json({ application_id, access: found.found.access, ...factsOf(found.found) });
});

/** `GET /v1/admin/applications/{id}/access/versions`. */
export const getAccessVersions = forAdmin('applications.read', async (broker, context) => {
  const application_id = context.parameter('id');
  const listed = await askObject(() => broker.organization().listAccessVersions(application_id));
  if (!listed.ok) return context.refuse({ code: listed.code });
  const versions = listed.versions.map((one) => ({
    version: one.version,
    rules: one.rules,
    ...factsOf(one),
  }));
  return Response.json({ application_id, versions });
});

/** `PUT /v1/admin/applications/{id}/access`: in place of whatever there was. */
export const putAccess = forAdmin(
  { permission: 'applications.write', event: 'admin.access.update', recorded: 'with_change' },
  async (broker, context) => {
    const id = context.parameter('id');
    const body = await readBody(
      context.request,
      accessChange,
      ['application/json'],
      maxAccessBytes,
    );
    if (!body.ok) return context.refuse(body.problem);
    const changed = await askObject(() =>
      broker.organization().putAccess(context.admin.adminId, id, body.value),
    );
    if (changed.ok) return await answerChange(broker, context, id, changed);
    if (changed.code === 'field_invalid') {
      const { code, field, detail } = changed;
      return context.refuse({ code, field, detail });
    }
    return changed.code === 'policy_version_conflict'
      ? context.refuse({ code: changed.code, detail: `it is at version ${changed.version}` })
      : context.refuse({ code: changed.code });
  },
);
