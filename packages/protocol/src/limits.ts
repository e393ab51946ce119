/** Sizes and times that several programs must agree on. */

/** A challenge lives this long by the broker's clock. */
export const challengeTtlSeconds = 60;
/** A host signs, and is enrolled and renewed, while its clock and the broker's differ by no more than this. */
export const maxClockSkewSeconds = 600;
/** A pending decision may be completed for this long. */
export const stepUpTtlSeconds = 600;
/** A decision token lives this long. */
export const decisionTokenTtlSeconds = 60;
/** Policy and clients are read through a snapshot no older than this. */
export const maxSnapshotAgeMs = 5_000;
/** A narrowing change is complete after this long. */
export const narrowingCompletesAfterMs = 10_000;
/** What a device management has reported of a device's posture counts for at most this long. */
export const maxPostureReportAgeSeconds = 14 * 86_400;
/** A device holds at most this many certificates that no user has signed in with. */
export const maxUnboundCertificates = 5;

export const maxHttpBodyBytes = 64 * 1024;
export const maxCsrBytes = 16 * 1024;
export const maxEvidenceBytes = 32 * 1024;
export const maxDeviceResponseBytes = 16 * 1024;
export const maxChallengeBytes = 8 * 1024;
/** Extension to host, before anything is allocated. Browsers cap the other direction at 1 MiB. */
export const maxNativeRequestBytes = 64 * 1024;
export const maxOriginsPerClient = 32;
/** All origins of a client together: every challenge carries them and must stay below `maxChallengeBytes`. */
export const maxOriginsCharacters = 4 * 1024;
