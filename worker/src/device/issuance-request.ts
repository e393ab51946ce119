import type { ProblemCode } from '@countersign/protocol';
import type {
  CertificateProfileName,
  IssuanceInterface,
  RevocationReason,
} from '@countersign/protocol/certificate-life';
import type { EnrollmentStrength } from '@countersign/protocol/enrollment-strength';
import type { ManagementFacts } from './management-facts.ts';

/** What permits an enrollment. All that can be known without the device's shard has been checked. */
export type IssuanceAuthority =
  | { readonly type: 'one_time_token'; readonly tokenSha256: Uint8Array }
  | { readonly type: 'organization_secret'; readonly secretId: string }
  | { readonly type: 'hardware_attested'; readonly endorsementKeySha256: Uint8Array }
  | { readonly type: 'scep_challenge' };

/** What enrollment has established about a request before the device's shard is asked. */
export type IssuanceRequest = {
  readonly deviceId: string;
  readonly serialNumber: string | undefined;
  readonly hardwareUuid: string | undefined;
  readonly authority: IssuanceAuthority;
  /** `''`: an administrator's own token, of no integration. */
  readonly integrationId: string;
  readonly strength: EnrollmentStrength;
  readonly profile: CertificateProfileName;
  /** The issuer that the organization has activated. */
  readonly issuerId: string;
  readonly via: IssuanceInterface;
  /** Whom the request is for, where it says so; a certificate binds at the first sign-in all the same. */
  readonly user: string | undefined;
  /** The user's, from the organization's reservation of this shard. Without one, nothing is issued for a user. */
  readonly userEpoch: number | undefined;
  /** Must an administrator agree when the device already has a certificate that counts? */
  readonly requiresApproval: boolean;
  readonly management: ManagementFacts | undefined;
  readonly subjectPublicKeyInfo: Uint8Array;
  readonly spkiSha256: Uint8Array;
};

export type NewKey = Pick<IssuanceRequest, 'subjectPublicKeyInfo' | 'spkiSha256'>;

/** A renewal that the current key has signed. */
export type RenewalRequest = {
  readonly deviceId: string;
  /** Of the certificate whose key signed the request. */
  readonly certificateSha256: Uint8Array;
  /** The key that takes the place of the current one; its possession is proven, and it is claimed for the device. */
  readonly rekey: NewKey | undefined;
  readonly profile: CertificateProfileName;
  readonly issuerId: string;
  /** Renew although it is not due. */
  readonly forced: boolean;
  /**
   * Whoever has a say in a new certificate was asked. False where nothing was due when that was to be decided: what is
   * on record is then the answer, even if something has become due since.
   */
  readonly mayIssue: boolean;
  readonly via: IssuanceInterface;
  readonly management: ManagementFacts | undefined;
};

/** What a renewal's checks need to know of the certificate that asks for it. */
export type RenewalFacts = {
  readonly integrationId: string;
  /** Whose certificate it is: bound to this user, or else asked for in this user's name. */
  readonly user: string | undefined;
  readonly profile: CertificateProfileName;
  readonly issuerId: string;
  readonly spkiSha256: Uint8Array;
  readonly strength: EnrollmentStrength;
  readonly via: IssuanceInterface;
  /** By the dates and profile on record; another issuer or profile is a reason of its own. */
  readonly due: boolean;
  /** The newest certificate of the same key and lineage, DER, where it is another one. */
  readonly current: Uint8Array | undefined;
  readonly serialNumber: string | undefined;
  readonly hardwareUuid: string | undefined;
  /** Of the TPM that has vouched for the device's keys, where one has. */
  readonly endorsementKeySha256: Uint8Array | undefined;
  readonly management: ManagementFacts | undefined;
};

export type IssuanceRefusal = { readonly ok: false; readonly code: ProblemCode };

export type IssuedAnswer =
  | { readonly ok: true; readonly certificate: Uint8Array; readonly issuerId: string }
  | IssuanceRefusal;

export type RenewedAnswer =
  | {
      readonly ok: true;
      readonly certificate: Uint8Array;
      readonly issuerId: string;
      /** False: the certificate on record is still the right one, and comes again. */
      readonly renewed: boolean;
    }
  | IssuanceRefusal;

export type RevocationOrder = {
  readonly reason: RevocationReason;
  /** Who orders it, for the log. */
  readonly actor: {
    readonly type: 'device' | 'admin' | 'integration' | 'system';
    readonly id?: string;
  };
};
