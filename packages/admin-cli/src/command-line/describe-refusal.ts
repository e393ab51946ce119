import type { BrokerRefusal } from '../client/admin-client.ts';
import { impactSections } from '../commands/describe-integration.ts';
import type { Command } from './command.ts';
import { program } from './help.ts';
import { printSection } from './print.ts';

/** What to do about a refusal. Codes that are not here have nothing better than the general sentence. */
const advice: Readonly<Record<string, string>> = {
  admin_authentication_failed:
    'Look at the token (--token-file, COUNTERSIGN_ADMIN_TOKEN): it is of another broker, has ended or was revoked.',
  admin_forbidden: 'Ask an owner for a role that permits it; whoami says what yours does.',
  field_invalid: 'Correct that value; nothing was changed.',
  json_malformed: 'Correct the file; nothing was changed.',
  read_only: 'Wait until the broker is no longer read-only, or end that: mode set normal.',
  rate_limited: 'Wait a minute, then try again.',
  device_not_found: 'Look for the device: devices list, devices find.',
  certificate_not_found: 'Look for the fingerprint: devices show.',
  integration_not_found: 'Look for the integration: integrations list.',
  application_has_rules:
    'Look at it: policy pull. To give it up, add "replace_policy": true to the file.',
  policy_version_conflict: 'Pull it again, and make the change in that.',
  application_not_found: 'Look for the application: applications list.',
  policy_not_found:
    'Look for the version: policy versions, global-policy versions, access versions.',
  zone_limit_reached: 'Leave some blocks out, or put neighbours together: zones list.',
  zone_not_found: 'Look for the zone: zones list.',
  zone_in_use: 'Change the policy first: policy pull, policy push.',
  decision_not_found:
    'Look for the decision: log search; its id is chain and sequence of the record.',
  group_not_found: 'Look for the group: groups list.',
  group_in_use:
    'Change what names it first: integrations state, or policy or access of the application.',
  group_owned_by_directory: 'Change it where the directory is kept.',
  user_inactive_in_directory: 'Activate them where the directory is kept.',
  directory_subject_fixed: 'It is fixed while the directory has users: directory show.',
  directory_quota_reached: 'Look at what the directory does, then directory resume.',
  admin_not_found: 'Look for the administrator: admins list.',
  issuer_not_found: 'Look for the issuer: issuers list.',
  issuer_in_use: 'Wait until its devices have renewed: issuers list counts them.',
  log_stream_not_found: 'Look for the stream: log streams list.',
  log_cursor_unknown: 'The log was begun anew: begin again with --since, without the cursor.',
};

const overrideAdvice =
  'Nothing was changed. To do it all the same, and take what breaks, say --override.';

function adviceFor({ problem, worthRetrying }: BrokerRefusal): string {
  const known = advice[problem.code];
  if (known !== undefined) return known;
  if (worthRetrying) return 'Try again in a while.';
  return problem.status >= 500
    ? "The broker's log says more."
    : 'Nothing was changed. PROTOCOL.md says what the code means.';
}

/** A line with code and field, and one with what to do. What would break comes before `--override` is named. */
export function describeRefusal(refusal: BrokerRefusal, command: Command | undefined): string[] {
  const { problem, impact } = refusal;
  const field = problem.field === undefined ? '' : ` (${problem.field})`;
  const canOverride = command?.options?.['--override'] !== undefined;
  if (impact !== undefined) {
    return [
      `${program}: ${problem.code}${field}: ${problem.title}`,
      ...impactSections(impact).flatMap(printSection),
      ...(canOverride ? [overrideAdvice] : ['Nothing was changed.']),
    ];
  }
  const isInUse = problem.code === 'issuer_in_use' && canOverride;
  return [
    `${program}: ${problem.code}${field}: ${refusal.message}`,
    ...[adviceFor(refusal)].map((text) => (isInUse ? `${text} ${overrideAdvice}` : text)),
  ];
}
