/** How strongly an enrollment proved that it comes from the device it names, weakest first. Part of each certificate's record. */
export const enrollmentStrengths = [
  'organization_secret',
  'one_time_token',
  'hardware_attested',
] as const;
export type EnrollmentStrength = (typeof enrollmentStrengths)[number];
