import type { DecisionReason } from '@countersign/protocol';
import type { EnrollmentStrength } from '@countersign/protocol/enrollment-strength';
import type { KeyProtection } from '@countersign/protocol/key-protection';
import type { ClientType, EvidenceChannel, Platform } from './policy-document.ts';

/** Whether a sign-in comes from a trusted device: computed from facts each time, never stored as a fact. */
export type DeviceTrust =
  | { readonly trusted: true }
  | { readonly trusted: false; readonly reason: DecisionReason };

/** Something about the device that only the device or its management can know. */
export type Reported<Value> = {
  readonly device?: Value | undefined;
  readonly mdm?: Value | undefined;
};

export type PostureFacts = {
  readonly diskEncryption?: Reported<boolean>;
  readonly firewall?: Reported<boolean>;
  readonly screenLock?: Reported<boolean>;
  /** The management's word alone: the device's is `signedPlatform`. */
  readonly platform?: { readonly mdm?: Platform | undefined };
  /** As the system calls it: numbers with dots. */
  readonly osVersion?: Reported<string>;
};

/** What is known of a sign-in before the device's record is looked at. */
export type RequestFacts = {
  readonly user: string;
  /** Those of the user's groups that any rule could name. */
  readonly groups: ReadonlySet<string>;
  /** As text, IPv4 or IPv6. */
  readonly ipAddress: string | undefined;
  readonly clientType: ClientType | undefined;
  /** What the sign-in server takes the device for. */
  readonly platform: Platform | undefined;
  /** What the device has signed of itself. It counts once the device is a trusted one. */
  readonly signedPlatform: Platform | undefined;
  readonly channel: EvidenceChannel | 'none';
  readonly keyProtection: KeyProtection | 'none' | undefined;
  readonly posture: PostureFacts;
};

/**
 * What rules are asked about. `undefined` means that nobody said: where it matters, the stricter of both answers counts.
 * `none` is a fact of its own: without evidence there is no key, no enrollment, no certificate. Of a device that is not
 * trusted none of these counts, whatever it shows: a certificate that was revoked is still one that a TPM made.
 */
export type PolicyFacts = RequestFacts & {
  readonly deviceTrust: DeviceTrust;
  readonly enrollmentStrength: EnrollmentStrength | 'none' | undefined;
  readonly certificateAgeSeconds: number | 'none' | undefined;
  readonly atMs: number;
};
