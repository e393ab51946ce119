import { expect, it } from 'vitest';
import { goodFacts } from '../testing/facts.ts';
import { deviceTrust } from './device-trust.ts';

const untrusted = {
  ...goodFacts,
  deviceTrust: { trusted: false, reason: 'certificate_expired' },
} as const;

it('tells trusted devices from others, and says why one is not', () => {
  expect(deviceTrust.check('trusted', goodFacts, [])).toBe('met');
  expect(deviceTrust.check('not_trusted', goodFacts, [])).toBe('not_met');
  expect(deviceTrust.check('trusted', untrusted, [])).toBe('not_met');
  expect(deviceTrust.check('not_trusted', untrusted, [])).toBe('met');
  expect(deviceTrust.seen(goodFacts, [], 'trusted')).toBe('trusted');
  expect(deviceTrust.seen(untrusted, [], 'trusted')).toBe('not trusted: certificate_expired');
  expect(deviceTrust.wanted('not_trusted')).toBe('not trusted');
});
