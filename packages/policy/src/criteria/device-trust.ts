import { type Criterion, verdictOf } from './criterion.ts';

/** Whether the device is a trusted one, which `deviceTrust()` has computed. */
export const deviceTrust: Criterion<'device_trust'> = {
  check: (condition, { deviceTrust: trust }) =>
    verdictOf(condition === (trust.trusted ? 'trusted' : 'not_trusted')),
  seen: ({ deviceTrust: trust }) => (trust.trusted ? 'trusted' : `not trusted: ${trust.reason}`),
  wanted: (condition) => condition.replace('_', ' '),
};
