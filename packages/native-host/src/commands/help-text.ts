import { defaultConfigurationPath, defaultStateDirectory } from '../configuration/default-paths.ts';

export function helpText(): string {
  return `countersign: proves to your company's sign-in pages that this is a managed device

  countersign enroll --broker URL [--token-file FILE] [--user NAME] [--replace] [--config FILE]
      Gets this device its certificate. What permits it, a one-time enrollment token or the organization secret
      (cses_…), is read from FILE, from the environment variable COUNTERSIGN_ENROLLMENT_TOKEN, or from standard input.
      With the organization secret, --user says whom the device is for, where the broker asks for that.
      Where the configuration has the TPM attested (keystore.attest_to), none is needed.
      May be repeated: a device that is enrolled stays as it is.
      With --replace such a device makes a new key and enrolls anew with a new token: for a certificate that was revoked
      or that the broker does not know any more, and for a key that was copied, blocked or lost. The old certificate
      stays in use until the new one is stored; then the old key is deleted.

  countersign renew [--if-due] [--rekey] [--config FILE]
      Asks for a newer certificate for the same key; the broker gives one when it is time, else the one there is.
      With --if-due nothing is asked before the time has come, and after a failure not before a while: for a task that
      runs at every login and once a day. With --rekey a new key takes the place of the current one.

  countersign schedule [--remove] [--config FILE]
      Has \`renew --if-due\` run at every login and once a day, by your own systemd or launchd.

  countersign doctor [--json] [--config FILE]
      Checks everything that a sign-in and a renewal need, and says for each what to do. Exit code 1 after a failure.

  countersign uninstall [--config FILE]
      Removes your keys, your enrollment, the task and your host manifests. Needs no token.

  countersign status [--json] [--config FILE]
      Shows configuration, enrollment, certificate and key.

  countersign [--config FILE] native-messaging
      What browsers start: answers the extension on standard input and output.

  countersign --help, countersign --version

enroll, renew, status and doctor take --verbose: every call to the broker is then told on standard error, without what was
sent in it.

Every command but native-messaging takes --local-user NAME, for a device management that runs it as root: it is done as
the person who signs in under that name, with their folders. Files that are named must be readable for them.

FILE of --config must be absolute; it is ${defaultConfigurationPath()} by default.
Certificate and key are in ${defaultStateDirectory()}, unless the configuration says otherwise.

Exit codes: 0 done, 1 refused or failed, 2 wrong command line, 3 worth trying again later.
`;
}
