/** How long a device certificate lives and when it is renewed. */
export type CertificateProfile = {
  readonly name: '1y';
  readonly validityMs: number;
  /** Certificates begin a little earlier, for devices and fronts whose clocks are behind. */
  readonly backdateMs: number;
};

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

export const oneYearProfile: CertificateProfile = {
  name: '1y',
  validityMs: 365 * dayMs,
  backdateMs: hourMs,
};
