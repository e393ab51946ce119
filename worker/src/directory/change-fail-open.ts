import type { FailOpenInput } from '@countersign/protocol/fail-open';
import { readApplications } from './organization-records.ts';
import type { FailOpen } from './organization-snapshot.ts';
import type { Outcome } from './record-change.ts';

/** Whether sign-in servers may let people in to an application while the broker is away. Within blocks of the organization. */

/** `value`: what it was before. */
export function setFailOpen(
  sql: SqlStorage,
  applicationId: string,
  { enabled, max_age_seconds }: FailOpenInput,
): Outcome<FailOpen | undefined> | { readonly ok: false; readonly code: 'application_not_found' } {
  const existing = readApplications(sql).get(applicationId);
  if (existing === undefined) return { ok: false, code: 'application_not_found' };
  const before = existing.fail_open;
  const wanted: FailOpen | undefined = enabled ? { max_age_seconds } : undefined;
  if (before?.max_age_seconds === wanted?.max_age_seconds) {
    return { ok: true, value: before, event: undefined };
  }
  sql.exec(
    'UPDATE applications SET fail_open = ? WHERE application_id = ?',
    wanted === undefined ? null : JSON.stringify(wanted),
    applicationId,
  );
  return {
    ok: true,
    value: before,
    event: {
      event_type: 'admin.fail_open.update',
      debug_data: {
        application_id: applicationId,
        enabled: String(enabled),
        ...(enabled ? { max_age_seconds: String(max_age_seconds) } : {}),
      },
    },
  };
}
