import type { PolicyFacts } from '../facts.ts';

/** A trusted sign-in of which everything is known; a test changes what it is about. */
export const goodFacts: PolicyFacts = {
  user: 'ada',
  groups: new Set(['staff']),
  ipAddress: '192.0.2.1',
  clientType: 'web_or_modern',
  platform: 'macos',
  signedPlatform: undefined,
  deviceTrust: { trusted: true },
  channel: 'extension',
  keyProtection: 'hardware',
  enrollmentStrength: 'one_time_token',
  certificateAgeSeconds: 86_400,
  posture: {},
  /** A Sunday, 12:00 UTC. */
  atMs: Date.UTC(2026, 10, 22, 12),
};
