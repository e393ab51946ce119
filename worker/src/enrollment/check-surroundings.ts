import type { ManagementFacts } from '../device/management-facts.ts';
import type { IntegrationRecord } from '../directory/integration-records.ts';
import type {
  EnrollmentContext,
  EnrollmentRefusal,
  ManagementCheck,
} from './enrollment-context.ts';

/** Checks that an enrollment and each renewal pass alike: those that ask somebody beside the device's shard. */

type Checked = { readonly ok: true } | EnrollmentRefusal;

/** While the broker is read-only, nothing is issued; sign-ins go on. */
export function checkWritable({ snapshot }: EnrollmentContext): Checked {
  const { readOnly } = snapshot;
  return readOnly === undefined
    ? { ok: true }
    : { ok: false, code: 'read_only', retryAfterSeconds: readOnly.retryAfterSeconds };
}

/** The user that a certificate is for: known where that is asked for, and never one who was deactivated. */
export async function checkUser(
  context: EnrollmentContext,
  integration: IntegrationRecord | undefined,
  user: string | undefined,
): Promise<Checked> {
  const { snapshot } = context;
  const mustBeActive = integration?.require_active_user === true;
  if (user === undefined) {
    return mustBeActive
      ? {
          ok: false,
          code: 'field_invalid',
          field: 'user',
          detail: 'is missing: the integration wants to know for whom',
        }
      : { ok: true };
  }
  if (snapshot.inactiveUsers.has(user)) return { ok: false, code: 'enrollment_user_inactive' };
  if (!mustBeActive && !snapshot.directory.requireKnownUsers) return { ok: true };
  const found = await context.findUser(user);
  if (!found.ok) return found;
  if (found.standing === 'unknown') return { ok: false, code: 'enrollment_user_unknown' };
  return found.standing === 'active'
    ? { ok: true }
    : { ok: false, code: 'enrollment_user_inactive' };
}

/**
 * Does the management manage the device? Without an integration nobody is asked. While the management cannot be asked,
 * the integration's rule for outages decides. Whoever passes is looked up from time to time from here on: noted before
 * the certificate is made, so that none is ever made that nobody asks about again.
 */
export async function checkManagement(
  context: EnrollmentContext,
  integration: IntegrationRecord | undefined,
  check: ManagementCheck,
): Promise<{ readonly ok: true; readonly facts: ManagementFacts | undefined } | EnrollmentRefusal> {
  if (integration === undefined) return { ok: true, facts: undefined };
  const checked = await context.checkManaged(integration, check);
  const isOutage = !checked.ok && checked.code === 'integration_unavailable';
  if (!checked.ok && !(isOutage && integration.outage === 'issue')) return checked;
  const watched = await context.watch(integration, check.device);
  if (!watched.ok) return watched;
  return { ok: true, facts: checked.ok ? checked.facts : undefined };
}
