import { homedir } from 'node:os';
import type { SchedulePlace } from '../schedule/keep-schedule.ts';

/** The person who runs the command, on this machine. */
export function thisPlace(): SchedulePlace {
  const configHome = process.env.XDG_CONFIG_HOME;
  return {
    platform: process.platform,
    homeDirectory: homedir(),
    ...(configHome?.startsWith('/') === true ? { configHome } : {}),
  };
}
