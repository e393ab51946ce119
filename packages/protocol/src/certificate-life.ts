import * as z from 'zod/mini';

/** Names of the profiles that say how long a device certificate lives, chosen for each integration. */
export const certificateProfileNames = ['1y', '30d', '7d'] as const;
export type CertificateProfileName = (typeof certificateProfileNames)[number];

/** RFC 5280 section 5.3.1, as far as they fit a device certificate; `certificateHold` is a hold's alone. */
export const revocationReasons = [
  'unspecified',
  'keyCompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'privilegeWithdrawn',
] as const;
export type RevocationReason = (typeof revocationReasons)[number];

/** The interface that a certificate was issued through. */
export const issuanceInterfaces = ['host', 'scep'] as const;
export type IssuanceInterface = (typeof issuanceInterfaces)[number];

/** What a revocation by an administrator says. */
export const revocationInput = z.strictObject({ reason: z.enum(revocationReasons) });
