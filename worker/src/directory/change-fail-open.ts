import type { FailOpenInput } from '@countersign/protocol/fail-open';
import { narrowingCompletesAfterMs } from '@countersign/protocol/limits';
import { readApplications } from './organization-records.ts';
import type { FailOpen, StoredFailOpen } from './organization-snapshot.ts';
import type { Outcome } from './record-change.ts';

/** Whether sign-in servers may let people in to an application while the broker is away. Within blocks of the organization. */

/** `value`: when the last statement of an earlier, longer setting has ended; `undefined` where there was none. */
export function setFailOpen(
  sql: SqlStorage,
  applicationId: string,
  { enabled, max_age_seconds }: FailOpenInput,
  nowMs: number,
): Outcome<number | undefined> | { readonly ok: false; readonly code: 'application_not_found' } {
  const existing = readApplications(sql).get(applicationId);
  if (existing === undefined) return { ok: false, code: 'application_not_found' };
  const { fail_open: before, fail_open_statements_end_at_ms: keptEndMs } = existing;
  const wanted: FailOpen | undefined = enabled ? { max_age_seconds } : undefined;
  if (before?.max_age_seconds === wanted?.max_age_seconds) {
    return { ok: true, value: keptEndMs, event: undefined };
  }
  const endMs = endOfStatements(before, wanted, keptEndMs, nowMs);
  const stored: StoredFailOpen = {
    ...wanted,
    ...(endMs === undefined ? {} : { statements_end_at_ms: endMs }),
  };
  sql.exec(
    'UPDATE applications SET fail_open = ? WHERE application_id = ?',
    JSON.stringify(stored),
    applicationId,
  );
  return {
    ok: true,
    value: endMs,
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

/** Not of the last setting alone: those of one before it may live longer. */
function endOfStatements(
  before: FailOpen | undefined,
  wanted: FailOpen | undefined,
  keptEndMs: number | undefined,
  nowMs: number,
): number | undefined {
  const seconds = before?.max_age_seconds ?? 0;
  if (seconds <= (wanted?.max_age_seconds ?? 0)) return keptEndMs;
  return Math.max(keptEndMs ?? 0, nowMs + narrowingCompletesAfterMs + seconds * 1000);
}
