import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { writePublicFile } from '../installation/public-file.ts';
import { fail, type Result, succeed } from '../result.ts';
import {
  launchAgentLabel,
  renderLaunchAgent,
  renderSystemdUnits,
  type ScheduledCommand,
  scheduleName,
} from './render-schedule.ts';

export type SchedulePlace = {
  readonly platform: NodeJS.Platform;
  readonly homeDirectory: string;
  /** `XDG_CONFIG_HOME`, when it is set. */
  readonly configHome?: string;
};

/** Where a person's own task is; `undefined` where there is no way to have one yet. */
function pathsOf({ platform, homeDirectory, configHome }: SchedulePlace) {
  if (platform === 'linux') {
    const folder = join(configHome ?? join(homeDirectory, '.config'), 'systemd', 'user');
    return {
      kind: 'systemd',
      service: join(folder, `${scheduleName}.service`),
      timer: join(folder, `${scheduleName}.timer`),
      /** What `systemctl --user enable` makes, which needs a systemd that runs. */
      enabled: join(folder, 'timers.target.wants', `${scheduleName}.timer`),
    } as const;
  }
  if (platform === 'darwin') {
    const agent = join(homeDirectory, 'Library', 'LaunchAgents', `${launchAgentLabel}.plist`);
    return { kind: 'launchd', agent } as const;
  }
  return undefined;
}

/** Whether the person has the task that renews; `undefined` where there is no way to have one yet. */
export function hasSchedule(place: SchedulePlace): boolean | undefined {
  const paths = pathsOf(place);
  if (paths === undefined) return undefined;
  return paths.kind === 'systemd'
    ? existsSync(paths.timer) && existsSync(paths.enabled)
    : existsSync(paths.agent);
}

const unsupported = (platform: NodeJS.Platform) =>
  fail(
    'usage_invalid',
    `on ${platform} the task is not made here: have \`countersign renew --if-due\` run daily and at login`,
  );

/**
 * Makes the task that renews, in place of an older one, and starts it where the person's session can.
 *
 * @returns what was written
 */
export async function addSchedule(
  place: SchedulePlace,
  command: ScheduledCommand,
): Promise<Result<readonly string[], 'usage_invalid' | 'state_unwritable'>> {
  const paths = pathsOf(place);
  if (paths === undefined) return unsupported(place.platform);
  try {
    if (paths.kind === 'launchd') {
      writePublicFile(paths.agent, renderLaunchAgent(command), 0o644);
      await tryToRun('/bin/launchctl', ['bootstrap', `gui/${process.getuid?.()}`, paths.agent]);
      return succeed([paths.agent]);
    }
    const { service, timer } = renderSystemdUnits(command);
    writePublicFile(paths.service, service, 0o644);
    writePublicFile(paths.timer, timer, 0o644);
    mkdirSync(dirname(paths.enabled), { recursive: true });
    rmSync(paths.enabled, { force: true });
    symlinkSync(join('..', `${scheduleName}.timer`), paths.enabled);
    await tryToRun('systemctl', ['--user', 'daemon-reload']);
    await tryToRun('systemctl', ['--user', 'start', `${scheduleName}.timer`]);
    return succeed([paths.service, paths.timer, paths.enabled]);
  } catch (error) {
    return fail('state_unwritable', String(error));
  }
}

/** Ends the task and removes it; no failure when there is none. */
export async function removeSchedule(
  place: SchedulePlace,
): Promise<Result<readonly string[], 'state_unwritable'>> {
  const paths = pathsOf(place);
  if (paths === undefined) return succeed([]);
  const files =
    paths.kind === 'launchd' ? [paths.agent] : [paths.enabled, paths.timer, paths.service];
  const present = files.filter((file) => existsSync(file));
  if (present.length === 0) return succeed([]);
  try {
    if (paths.kind === 'launchd') {
      await tryToRun('/bin/launchctl', [
        'bootout',
        `gui/${process.getuid?.()}/${launchAgentLabel}`,
      ]);
    } else {
      await tryToRun('systemctl', ['--user', 'stop', `${scheduleName}.timer`]);
    }
    for (const file of present) rmSync(file, { force: true });
    if (paths.kind === 'systemd') await tryToRun('systemctl', ['--user', 'daemon-reload']);
    return succeed(present);
  } catch (error) {
    return fail('state_unwritable', String(error));
  }
}

/** Where no session of the person runs, as at an installation, the task begins with their next login. */
function tryToRun(program: string, programArguments: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    execFile(program, programArguments, { timeout: 10_000 }, () => resolve());
  });
}
