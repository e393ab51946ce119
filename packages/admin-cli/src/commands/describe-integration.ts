import type {
  IntegrationAnswer,
  IntegrationImpact,
  IntegrationState,
} from '@countersign/protocol/admin-integrations';
import { lines, rows, type Section, table } from '../command-line/command.ts';

export const describeState = (state: IntegrationState) =>
  state.mode === 'test_groups' ? `test_groups: ${state.groups.join(' ')}` : state.mode;

const yesNo = (value: boolean) => (value ? 'yes' : 'no');

/** Where the management is and as whom it is asked, in a line. */
function describeConnection({ connection }: IntegrationAnswer): string | undefined {
  const { kind, ...settings } = connection;
  const parts = Object.values(settings).map((value) =>
    typeof value === 'object' ? Object.values(value).join(' ') : value,
  );
  return parts.length === 0 ? undefined : parts.filter((part) => part !== undefined).join(', ');
}

export function describeIntegration(integration: IntegrationAnswer): Section[] {
  return [
    rows(
      ['integration', integration.integration_id],
      ['name', integration.name],
      ['kind', integration.kind],
      ['state', describeState(integration.state)],
      ['connection', describeConnection(integration)],
      ['authority', integration.authority],
      ['profile', integration.profile],
      ['shared secret makes trusted', yesNo(integration.trust_shared_secret)],
      ['asks for an active user', yesNo(integration.require_active_user)],
      ['oldest check-in', `${integration.max_check_in_age_seconds} s`],
      ['asked every', `${integration.poll_interval_seconds} s`],
      ['when it does not answer', integration.outage],
      ['SCEP', integration.scep.enabled ? 'on' : 'off'],
      ['secret since', integration.secret?.created_at],
      ['webhook secret', yesNo(integration.has_webhook_secret)],
      ['created', integration.created_at],
    ),
  ];
}

/** What would break, and in which order to proceed. */
export function impactSections(impact: IntegrationImpact): Section[] {
  return [
    lines(
      `${impact.live_certificates} certificates are good, ${impact.bound_certificates} of them in use by ${impact.affected_users} people.`,
    ),
    table(
      ['application', 'enforcement', 'other devices', 'name'],
      impact.applications.map((each) => [
        each.application_id,
        each.enforcement,
        each.other_devices,
        each.name,
      ]),
      'No application relies on trusted devices.',
    ),
    lines(...impact.steps.map((step, index) => `${index + 1}. ${step}`)),
  ];
}

/** To be copied as they are. */
export const scriptSections = (scripts: Readonly<Record<string, unknown>>): Section[] =>
  Object.entries(scripts).map(([name, text]) => lines(`# ${name}`, String(text), ''));
