import type { PolicyChange, PolicyDocument } from '@countersign/policy';
import { readApplications } from './organization-records.ts';
import { readVersion } from './organization-settings.ts';
import { policySourceOf, storePolicyVersion } from './policy-records.ts';
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

/** Names that nothing has: such a rule would say something else than its author thinks. */
function findUnknownName(
  sql: SqlStorage,
  { rules }: Pick<PolicyDocument, 'rules'>,
): Extract<PolicyRefusal, { code: 'field_invalid' }> | undefined {
  const zones = new Set(readZones(sql).map(({ zone_id }) => zone_id));
  const groups = new Set(
    sql
      .exec<{ group_id: string }>('SELECT group_id FROM user_groups')
      .toArray()
      .map(({ group_id }) => group_id),
  );
  const refuse = (place: number, path: string, name: string, kind: string) =>
    ({
      ok: false,
      code: 'field_invalid',
      field: `policy.rules.${place}.when.${path}`,
      detail: `names the ${kind} ${name}, which there is not`,
    }) as const;
  for (const [place, { when }] of rules.entries()) {
    for (const path of ['zones', 'except_zones'] as const) {
      const unknown = when.network?.[path]?.find((name) => !zones.has(name));
      if (unknown !== undefined) return refuse(place, `network.${path}`, unknown, 'zone');
    }
    for (const path of ['groups', 'except_groups'] as const) {
      const unknown = when.people?.[path]?.find((name) => !groups.has(name));
      if (unknown !== undefined) return refuse(place, `people.${path}`, unknown, 'group');
    }
  }
  return undefined;
}

/** Gives an application a policy of rules. The version is that of the organization that the change makes. */
export function putPolicy(
  sql: SqlStorage,
  applicationId: string,
  { policy: fields, comment, expected_version }: PolicyChange,
  { adminId, nowMs }: Author,
): Outcome<number> | PolicyRefusal {
  const existing = readApplications(sql).get(applicationId)?.policy;
  if (existing === undefined) return { ok: false, code: 'application_not_found' };
  if (expected_version !== undefined && expected_version !== existing.version) {
    return { ok: false, code: 'policy_version_conflict', version: existing.version };
  }
  const unknown = findUnknownName(sql, fields);
  if (unknown !== undefined) return unknown;
  const isSame =
    JSON.stringify({ version: existing.version, ...fields }) === JSON.stringify(existing);
  if (isSame && policySourceOf(sql, applicationId) === 'rules') {
    return { ok: true, value: existing.version, event: undefined };
  }
  const policy: PolicyDocument = { version: readVersion(sql) + 1, ...fields };
  const document = JSON.stringify(policy);
  sql.exec('UPDATE applications SET policy = ? WHERE application_id = ?', document, applicationId);
  storePolicyVersion(sql, applicationId, policy, {
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
        application_id: applicationId,
        enforcement: policy.enforcement,
        rules: String(policy.rules.length),
        otherwise: policy.otherwise,
        comment,
      },
    },
  };
}
