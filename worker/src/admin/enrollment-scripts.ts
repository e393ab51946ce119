import type { enrollmentScripts } from '@countersign/protocol/admin-integrations';
import type * as z from 'zod/mini';
import type { IntegrationRecord } from '../directory/integration-records.ts';

/** What stands in a script that is read later: the secret is shown once. */
const secretPlaceholder = 'PASTE_THE_ORGANIZATION_SECRET_HERE';

/**
 * Scripts for the device management, with everything filled in: for macOS and Linux to be run as root, for Windows as
 * the person who is signed in, since an enrollment is theirs. Nothing of them is
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
    "# The word 'uninstall' among its parameters takes everything off this device again, and needs no secret; with the",
    "# word 'verbose' the calls to the broker are told, too.",
    'set -eu',
    `broker='${brokerUrl}'`,
    "action=enroll verbose=''",
    'for word in "$@"; do',
    '  case $word in uninstall) action=uninstall ;; verbose) verbose=--verbose ;; esac',
    'done',
    'program=$(command -v countersign || true)',
    'for candidate in /usr/local/bin/countersign /opt/countersign/bin/countersign; do',
    '  if [ -z "$program" ] && [ -x "$candidate" ]; then program=$candidate; fi',
    'done',
    'if [ -z "$program" ]; then',
    "  echo 'countersign is not installed on this device' >&2",
    '  exit 3',
    'fi',
    '# Browsers start the program as the person at the device, so as them it is enrolled.',
    'set --',
    'if [ "$(id -u)" = 0 ]; then',
    `  if [ -n "\${COUNTERSIGN_LOCAL_USER:-}" ]; then user=$COUNTERSIGN_LOCAL_USER`,
    '  elif [ "$(uname -s)" = Darwin ]; then user=$(stat -f %Su /dev/console || true)',
    '  else',
    '    session=$(loginctl show-seat seat0 --property=ActiveSession --value 2>/dev/null || true)',
    '    user=$(loginctl show-session "$session" --property=Name --value 2>/dev/null || true)',
    '  fi',
    '  case $user in',
    "    '' | root | loginwindow | _mbsetupuser | gdm | sddm | lightdm)",
    "      echo 'nobody is signed in at this device: run this again when somebody is' >&2",
    '      exit 3 ;;',
    '  esac',
    '  set -- --local-user "$user"',
    'fi',
    'if [ "$action" = uninstall ]; then exec "$program" uninstall "$@"; fi',
    ...posixSecret,
    '# A built-in command and a pipe: the secret is on no command line.',
    ...(isToken
      ? [`printf '%s\\n' "$secret" | "$program" enroll --broker "$broker" $verbose "$@"`]
      : [
          '# COUNTERSIGN_USER: whom the device is for, where the integration asks for an active user.',
          `printf '%s\\n' "$secret" | "$program" enroll --broker "$broker" $verbose \${COUNTERSIGN_USER:+--user "$COUNTERSIGN_USER"} "$@"`,
        ]),
    '"$program" schedule "$@"',
    '"$program" renew --if-due $verbose "$@"',
    '',
  ];
  const windows = [
    `# ${about}`,
    `# ${care}`,
    `$ErrorActionPreference = 'Stop'`,
    `$program = Join-Path $env:ProgramFiles 'Countersign\\countersign.exe'`,
    `if (-not (Test-Path $program)) { Write-Error 'countersign is not installed on this device'; exit 3 }`,
    'if ([Security.Principal.WindowsIdentity]::GetCurrent().IsSystem) {',
    "  Write-Error 'this must be run as the person who is signed in, whose enrollment it is'; exit 2",
    '}',
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
