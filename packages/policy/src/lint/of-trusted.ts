import type { Conditions } from '../policy-document.ts';

/** What only a trusted device has. */
export const ofTrusted = [
  'channels',
  'key_protections',
  'enrollment_strengths',
  'certificate_age',
] as const;

/** Of a device that is not trusted no posture is known. */
export const isForTrusted = (when: Conditions) =>
  when.device_trust === 'trusted' ||
  when.posture !== undefined ||
  ofTrusted.some((name) => when[name] !== undefined);
