import type { enrollmentScripts } from '@countersign/protocol/admin-integrations';
import type * as z from 'zod/mini';
import type { IntegrationRecord } from '../directory/integration-records.ts';

/** What stands in a script that is read later: the secret is shown once. */
const secretPlaceholder = 'PASTE_THE_ORGANIZATION_SECRET_HERE';

/**
 * Scripts for the device management to run as root, or as the system, with everything filled in. Nothing of them is
 * free text: the broker's URL is an origin, ids and secrets have no character that a shell knows. They need no
 * interpreter but that of the system, and may run as often as one likes: who is enrolled stays so, and renews when it
 * is time.
 *
 * @param secret the organization secret, when it is known at this moment
 */
export function renderEnrollmentScripts(
  brokerUrl: string,
  integration: Pick<IntegrationRecord, 'integration_id' | 'authority' | 'profile'>,
  secret: string | undefined,
): z.infer<typeof enrollmentScripts> {
  const { integration_id, authority, profile } = integration;
  const isToken = authority === 'one_time_token';
  const about = `Countersign enrollment, integration ${integration_id}, certificates of ${profile}.`;
  const care = isToken
    ? 'The device management gives COUNTERSIGN_ENROLLMENT_TOKEN, a token that this device may spend once.'
    : 'Holds the organization secret: for the device management alone to read.';
  const value = secret ?? secretPlaceholder;
  const posixSecret = isToken
    ? [`: "\${COUNTERSIGN_ENROLLMENT_TOKEN:?is missing}"`, 'secret=$COUNTERSIGN_ENROLLMENT_TOKEN']
    : [`secret='${value}'`];
  const posix = [
    '#!/bin/sh',
    `# ${about}`,
    `# ${care}`,
    'set -eu',
    `broker='${brokerUrl}'`,
    ...posixSecret,
    'program=$(command -v countersign || true)',
    'for candidate in /usr/local/bin/countersign /opt/countersign/bin/countersign; do',
    '  if [ -z "$program" ] && [ -x "$candidate" ]; then program=$candidate; fi',
    'done',
    'if [ -z "$program" ]; then',
    "  echo 'countersign is not installed on this device' >&2",
    '  exit 3',
    'fi',
    '# A built-in command and a pipe: the secret is on no command line.',
    `printf '%s\\n' "$secret" | "$program" enroll --broker "$broker"`,
    '"$program" renew --if-due',
    '',
  ];
  const windows = [
    `# ${about}`,
    `# ${care}`,
    `$ErrorActionPreference = 'Stop'`,
    `$program = Join-Path $env:ProgramFiles 'Countersign\\countersign.exe'`,
    `if (-not (Test-Path $program)) { Write-Error 'countersign is not installed on this device'; exit 3 }`,
    ...(isToken
      ? [
          `if (-not $env:COUNTERSIGN_ENROLLMENT_TOKEN) { Write-Error 'COUNTERSIGN_ENROLLMENT_TOKEN is missing'; exit 2 }`,
        ]
      : [`$env:COUNTERSIGN_ENROLLMENT_TOKEN = '${value}'`]),
    `& $program enroll --broker '${brokerUrl}'`,
    'if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }',
    '& $program renew --if-due',
    'exit $LASTEXITCODE',
    '',
  ];
  return { posix: posix.join('\n'), windows: windows.join('\r\n') };
}
