import {
  type ApplicationPolicy,
  findUnknownName,
  type GlobalPolicyChange,
  type PolicyChange,
  type UnknownName,
} from '@countersign/policy';
import { readGroupIds } from './change-group.ts';
import { readApplications } from './organization-records.ts';
import { readVersion } from './organization-settings.ts';
import {
  globalPolicyOwner,
  policySourceOf,
  readGlobalPolicy,
  storePolicyVersion,
} from './policy-records.ts';
import type { Outcome } from './record-change.ts';
import { readZones } from './zone-records.ts';

export type PolicyRefusal =
  | { readonly ok: false; readonly code: 'application_not_found' }
  | { readonly ok: false; readonly code: 'policy_version_conflict'; readonly version: number }
  | {
      readonly ok: false;
      readonly code: 'field_invalid';
      readonly field: string;
      readonly detail: string;
    };

/** Who changes it, and when. */
export type Author = { readonly adminId: string; readonly nowMs: number };

/** What a draft names and nothing has. */
export function findUnknown(
  sql: SqlStorage,
  policy: Pick<ApplicationPolicy, 'rules'>,
): UnknownName | undefined {
  return findUnknownName(policy, {
    zones: new Set(readZones(sql).map(({ zone_id }) => zone_id)),
    groups: readGroupIds(sql),
  });
}

/** Gives an application a policy of rules. The version is that of the organization that the change makes. */
export function putPolicy(
  sql: SqlStorage,
  applicationId: string,
  change: PolicyChange,
  author: Author,
): Outcome<number> | PolicyRefusal {
  const existing = readApplications(sql).get(applicationId)?.policy;
  if (existing === undefined) return { ok: false, code: 'application_not_found' };
  const source = policySourceOf(sql, applicationId);
  const owner = { id: applicationId, event: { application_id: applicationId } };
  const changed = replacePolicy(sql, owner, { existing, source }, change, author);
  if (changed.ok && changed.event !== undefined) {
    const document = JSON.stringify({ version: changed.value, ...change.policy });
    sql.exec(
      'UPDATE applications SET policy = ? WHERE application_id = ?',
      document,
      applicationId,
    );
  }
  return changed;
}

/** Changes what stands behind the policies of all applications. */
export function putGlobalPolicy(
  sql: SqlStorage,
  change: GlobalPolicyChange,
  author: Author,
): Outcome<number> | PolicyRefusal {
  const { policy: existing, source } = readGlobalPolicy(sql);
  const owner = { id: globalPolicyOwner, event: { scope: 'global' } };
  return replacePolicy(sql, owner, { existing, source }, change, author);
}

type PolicyOwner = {
  readonly id: string;
  readonly event: Readonly<Record<string, string>>;
};

function replacePolicy(
  sql: SqlStorage,
  owner: PolicyOwner,
  { existing, source }: { existing: ApplicationPolicy; source: string | undefined },
  { policy: fields, comment, expected_version }: PolicyChange,
  { adminId, nowMs }: Author,
): Outcome<number> | PolicyRefusal {
  if (expected_version !== undefined && expected_version !== existing.version) {
    return { ok: false, code: 'policy_version_conflict', version: existing.version };
  }
  const unknown = findUnknown(sql, fields);
  if (unknown !== undefined) return { ok: false, code: 'field_invalid', ...unknown };
  const isSame =
    JSON.stringify({ version: existing.version, ...fields }) === JSON.stringify(existing);
  if (isSame && source === 'rules') {
    return { ok: true, value: existing.version, event: undefined };
  }
  const policy: ApplicationPolicy = { version: readVersion(sql) + 1, ...fields };
  storePolicyVersion(sql, owner.id, policy, {
    source: 'rules',
    author: adminId,
    comment,
    created_at_ms: nowMs,
  });
  return {
    ok: true,
    value: policy.version,
    event: {
      event_type: 'admin.policy.update',
      debug_data: {
        ...owner.event,
        enforcement: policy.enforcement,
        rules: String(policy.rules.length),
        otherwise: policy.otherwise,
        comment,
      },
    },
  };
}
