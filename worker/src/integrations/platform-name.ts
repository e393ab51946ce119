import type { Platform } from '@countersign/protocol/posture';

/** In lower case, as managements call them. JumpCloud names Linux by its distribution. */
const platformsByName: ReadonlyMap<string, Platform> = new Map([
  ['windows', 'windows'],
  ['macos', 'macos'],
  ['mac os x', 'macos'],
  ['mac', 'macos'],
  ['ios', 'ios'],
  ['ipados', 'ios'],
  ['iphone', 'ios'],
  ['ipad', 'ios'],
  ['android', 'android'],
  ['chromeos', 'other_desktop'],
  ['linux', 'other_desktop'],
  ['amazon linux', 'other_desktop'],
  ['centos', 'other_desktop'],
  ['debian', 'other_desktop'],
  ['fedora', 'other_desktop'],
  ['linux mint', 'other_desktop'],
  ['rhel', 'other_desktop'],
  ['rocky', 'other_desktop'],
  ['ubuntu', 'other_desktop'],
]);

/** The platform that a management names; `undefined` for a name that is not of these, which is never guessed. */
export function platformNamed(text: string | null | undefined): Platform | undefined {
  return platformsByName.get(text?.trim().toLowerCase() ?? '');
}
