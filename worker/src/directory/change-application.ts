import type { ApplicationInput, ClientInput } from '@countersign/protocol/admin';
import { policyOf } from '../policy/simple-policy.ts';
import type { Author } from './change-policy.ts';
import { readApplications } from './organization-records.ts';
import { readVersion } from './organization-settings.ts';
import { policySourceOf, storePolicyVersion } from './policy-records.ts';
import type { Outcome } from './record-change.ts';

/** Creates or changes an application. Its policy has the version of the organization that the change makes. */
export function putApplication(
  sql: SqlStorage,
  id: string,
  { replace_policy, ...input }: ApplicationInput,
  { adminId, nowMs }: Author,
): Outcome<undefined> | { readonly ok: false; readonly code: 'application_has_rules' } {
  const existing = readApplications(sql).get(id);
  // Rules that somebody has written do not go by the way.
  const hasRules = policySourceOf(sql, id) === 'rules';
  if (hasRules && !replace_policy) return { ok: false, code: 'application_has_rules' };
  if (existing?.name === input.name && !hasRules) {
    const same = JSON.stringify(policyOf(existing.policy.version, input));
    if (JSON.stringify(existing.policy) === same) {
      return { ok: true, value: undefined, event: undefined };
    }
  }
  const policy = policyOf(readVersion(sql) + 1, input);
  sql.exec(
    `INSERT INTO applications (application_id, name, policy) VALUES (?, ?, ?)
     ON CONFLICT (application_id) DO UPDATE SET name = excluded.name, policy = excluded.policy`,
    id,
    input.name,
    JSON.stringify(policy),
  );
  storePolicyVersion(sql, id, policy, {
    source: 'choices',
    author: adminId,
    comment: '',
    created_at_ms: nowMs,
  });
  return {
    ok: true,
    value: undefined,
    event: {
      event_type: existing === undefined ? 'admin.application.create' : 'admin.application.update',
      debug_data: {
        application_id: id,
        enforcement: input.enforcement,
        ...(input.enforcement === 'global'
          ? {}
          : {
              trusted_devices: input.trusted_devices ?? 'allow',
              other_devices: input.other_devices ?? 'deny',
            }),
      },
    },
  };
}

/** Creates or changes a client. Its applications must exist. */
export function putClient(
  sql: SqlStorage,
  id: string,
  input: ClientInput,
):
  | Outcome<undefined>
  | { readonly ok: false; readonly code: 'application_not_found'; readonly application: string } {
  const applications = readApplications(sql);
  const missing = input.applications.find((application) => !applications.has(application));
  if (missing !== undefined) {
    return { ok: false, code: 'application_not_found', application: missing };
  }
  const document = JSON.stringify({ client_id: id, ...input });
  const [existing] = sql
    .exec<{ document: string }>('SELECT document FROM clients WHERE client_id = ?', id)
    .toArray();
  if (existing?.document === document) return { ok: true, value: undefined, event: undefined };
  sql.exec(
    `INSERT INTO clients (client_id, document) VALUES (?, ?)
     ON CONFLICT (client_id) DO UPDATE SET document = excluded.document`,
    id,
    document,
  );
  return {
    ok: true,
    value: undefined,
    event: {
      event_type: existing === undefined ? 'admin.client.create' : 'admin.client.update',
      debug_data: {
        client_id: id,
        origins: input.origins.join(' '),
        applications: input.applications.join(' '),
        authentication: input.authentication.method,
      },
    },
  };
}
