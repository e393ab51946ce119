import { isAbsolute } from 'node:path';

/** Name of the task that renews: once a day, and at every login. */
export const scheduleName = 'countersign-renew';
export const launchAgentLabel = 'com.countersign.renew';

/** The command that a task runs: absolute path of a program, and arguments for it. */
export type ScheduledCommand = readonly [program: string, ...rest: string[]];

function check(command: ScheduledCommand): void {
  if (!isAbsolute(command[0])) throw new TypeError(`not an absolute path: ${command[0]}`);
  if (command.some((word) => /[\0\r\n]/.test(word))) throw new TypeError('a word has a line break');
}

/** One word for systemd (systemd.service(5), "Command lines"): specifiers and variables mean nothing in it. */
const systemdWord = (word: string) =>
  `"${word.replace(/[\\"]/g, '\\$&').replaceAll('%', '%%').replaceAll('$', '$$$$')}"`;

/** Two units for a person's own systemd. */
export function renderSystemdUnits(command: ScheduledCommand): {
  readonly service: string;
  readonly timer: string;
} {
  check(command);
  return {
    service: [
      '[Unit]',
      'Description=Renew the Countersign certificate when it is time',
      '',
      '[Service]',
      'Type=oneshot',
      `ExecStart=${command.map(systemdWord).join(' ')}`,
      // Worth trying again later, which the timer does.
      'SuccessExitStatus=3',
      'TimeoutStartSec=120',
      '',
    ].join('\n'),
    timer: [
      '[Unit]',
      'Description=Renew the Countersign certificate when it is time',
      '',
      '[Timer]',
      'OnStartupSec=2min',
      'OnCalendar=daily',
      'RandomizedDelaySec=2h',
      'Persistent=true',
      '',
      '[Install]',
      'WantedBy=timers.target',
      '',
    ].join('\n'),
  };
}

const xmlText = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** A launch agent (launchd.plist(5)): at every login, since the keychain is open then, and once a day. */
export function renderLaunchAgent(command: ScheduledCommand): string {
  check(command);
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    '<plist version="1.0">',
    '<dict>',
    `  <key>Label</key><string>${launchAgentLabel}</string>`,
    '  <key>ProgramArguments</key>',
    '  <array>',
    ...command.map((word) => `    <string>${xmlText(word)}</string>`),
    '  </array>',
    '  <key>RunAtLoad</key><true/>',
    '  <key>StartInterval</key><integer>86400</integer>',
    '  <key>ProcessType</key><string>Background</string>',
    '  <key>LimitLoadToSessionType</key><string>Aqua</string>',
    '</dict>',
    '</plist>',
    '',
  ].join('\n');
}
