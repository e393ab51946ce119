import type { CertificateProfileName } from '@countersign/protocol/certificate-life';

/** How long a device certificate lives, when it is renewed, and how long it counts beside the one that replaced it. */
export type CertificateProfile = {
  readonly name: CertificateProfileName;
  readonly validityMs: number;
  /** Certificates begin a little earlier, for devices and fronts whose clocks are behind. */
  readonly backdateMs: number;
  /** A renewal is due from this long before the end. */
  readonly renewBeforeMs: number;
  /** A browser that keeps the old certificate in memory goes on with it for this long after a renewal. */
  readonly overlapMs: number;
};

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

export const certificateProfiles: Readonly<Record<CertificateProfileName, CertificateProfile>> = {
  '1y': {
    name: '1y',
    validityMs: 365 * dayMs,
    backdateMs: hourMs,
    renewBeforeMs: 30 * dayMs,
    overlapMs: 14 * dayMs,
  },
  // Renewed every two weeks.
  '30d': {
    name: '30d',
    validityMs: 30 * dayMs,
    backdateMs: hourMs,
    renewBeforeMs: 16 * dayMs,
    overlapMs: 7 * dayMs,
  },
  // Renewed at half of its life.
  '7d': {
    name: '7d',
    validityMs: 7 * dayMs,
    backdateMs: hourMs,
    renewBeforeMs: 3.5 * dayMs,
    overlapMs: 2 * dayMs,
  },
};
