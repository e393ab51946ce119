import type { ApplicationPolicy, GlobalPolicyChange, PolicyChange } from '@countersign/policy';
import { readApplications, readVersion } from './organization-records.ts';
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

/** Names that nothing has: such a rule would say something else than its author thinks. */
function findUnknownName(
  sql: SqlStorage,
  { rules }: Pick<ApplicationPolicy, 'rules'>,
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
  const unknown = findUnknownName(sql, fields);
  if (unknown !== undefined) return unknown;
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
