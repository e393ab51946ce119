import type { RevocationReason } from '@countersign/protocol/certificate-life';

/**
 * The standing of a certificate as a device shard tells it to the publisher of its CRL shard. Told again and in any
 * order: an entry with a lower `statusVersion` than the one known is old.
 */
export type PublishedStanding = {
  readonly serialNumber: Uint8Array;
  readonly notAfterMs: number;
  readonly status: 'good' | 'revoked' | 'hold';
  /** RFC 5280 section 5.3.1; of a revoked one. */
  readonly reason?: RevocationReason;
  readonly changedAtMs: number;
  /** Raised with each change of the certificate's standing. */
  readonly statusVersion: number;
};
