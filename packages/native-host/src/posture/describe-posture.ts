import type { Posture } from '@countersign/protocol/device-response';
import { postureSwitchNames } from '@countersign/protocol/posture';

const words = {
  disk_encryption: 'disk encryption',
  firewall: 'firewall',
  screen_lock: 'screen lock',
};

const stateOf = (value: boolean | undefined) => {
  if (value === undefined) return 'not known';
  return value ? 'on' : 'off';
};

/** What is said of the device at a sign-in, in one line. */
export function describePosture(posture: Posture): string {
  const switches = postureSwitchNames.map((name) => `${words[name]} ${stateOf(posture[name])}`);
  const { measured_at } = posture;
  const since =
    measured_at === undefined ? '' : `; measured ${new Date(measured_at * 1000).toISOString()}`;
  return `${posture.os_version}, ${switches.join(', ')}${since}`;
}

/** Those that are known to be off. */
export const switchedOff = (posture: Posture): string[] =>
  postureSwitchNames.filter((name) => posture[name] === false).map((name) => words[name]);
