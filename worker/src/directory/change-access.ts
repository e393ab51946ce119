import type { AccessChange, AccessDocument } from '@countersign/policy';
import { findAccessVersion, storeAccessVersion } from './access-records.ts';
import { readGroupIds } from './change-group.ts';
import type { Author, PolicyRefusal } from './change-policy.ts';
import { readApplications } from './organization-records.ts';
import { readVersion } from './organization-settings.ts';
import type { Outcome } from './record-change.ts';

/** A group that there is not: such a rule would say something else than its author thinks. */
function findUnknownGroup(
  sql: SqlStorage,
  { rules }: Pick<AccessDocument, 'rules'>,
): PolicyRefusal | undefined {
  const groups = readGroupIds(sql);
  for (const [place, { when }] of rules.entries()) {
    for (const list of ['groups', 'except_groups'] as const) {
      const unknown = when.people?.[list]?.find((name) => !groups.has(name));
      if (unknown === undefined) continue;
      return {
        ok: false,
        code: 'field_invalid',
        field: `access.rules.${place}.when.people.${list}`,
        detail: `names the group ${unknown}, which there is not`,
      };
    }
  }
  return undefined;
}

/** Says what may be done inside of an application. The version is that of the organization that the change makes. */
export function putAccess(
  sql: SqlStorage,
  applicationId: string,
  { access: fields, comment, expected_version }: AccessChange,
  { adminId, nowMs }: Author,
): Outcome<number> | PolicyRefusal {
  if (!readApplications(sql).has(applicationId)) {
    return { ok: false, code: 'application_not_found' };
  }
  const existing = findAccessVersion(sql, applicationId, undefined)?.access;
  const version = existing?.version ?? 0;
  if (expected_version !== undefined && expected_version !== version) {
    return { ok: false, code: 'policy_version_conflict', version };
  }
  const unknown = findUnknownGroup(sql, fields);
  if (unknown !== undefined) return unknown;
  if (JSON.stringify({ version, ...fields }) === JSON.stringify(existing)) {
    return { ok: true, value: version, event: undefined };
  }
  const access: AccessDocument = { version: readVersion(sql) + 1, ...fields };
  storeAccessVersion(sql, applicationId, access, {
    author: adminId,
    comment,
    created_at_ms: nowMs,
  });
  return {
    ok: true,
    value: access.version,
    event: {
      event_type: 'admin.access.update',
      debug_data: {
        application_id: applicationId,
        resource_types: String(access.resource_types.length),
        subjects: String(access.subjects.length),
        resources: String(access.resources.length),
        rules: String(access.rules.length),
        comment,
      },
    },
  };
}
