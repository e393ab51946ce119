import type { ProblemCode } from '@countersign/protocol';
import type {
  IssuanceRequest,
  IssuedAnswer,
  RenewalFacts,
  RenewalRequest,
  RenewedAnswer,
} from '../device/issuance-request.ts';
import type { ManagementFacts } from '../device/management-facts.ts';
import type { IntegrationRecord } from '../directory/integration-records.ts';
import type { ConfiguredIssuer } from '../directory/issuer-choice.ts';
import type { OrganizationSnapshot } from '../directory/organization-snapshot.ts';

export type EnrollmentRefusal = {
  readonly ok: false;
  readonly code: ProblemCode;
  readonly field?: string;
  /** For the log and the problem document; says nothing that the sender did not send or must not know. */
  readonly detail?: string;
  readonly retryAfterSeconds?: number;
};

/** What names a device: its place, and what its certificate will name. */
export type IdentifiedDevice = {
  readonly deviceId: string;
  readonly shard: number;
  readonly serialNumber: string | undefined;
  readonly hardwareUuid: string | undefined;
};

export type ManagementCheck = {
  readonly device: IdentifiedDevice;
  readonly purpose: 'enrollment' | 'renewal';
};

export type UserStanding = 'active' | 'inactive' | 'unknown';

/** What enrollment and renewal need of the world, as functions. Each may answer `storage_unavailable`. */
export type EnrollmentContext = {
  readonly brokerUrl: string;
  readonly organizationId: string;
  readonly shardCount: number;
  readonly deviceIdKey: CryptoKey;
  /** AES-256-GCM: opens the first step of an attestation. */
  readonly storedSecretsKey: CryptoKey;
  readonly rootCertificate: Uint8Array;
  readonly issuers: readonly ConfiguredIssuer[];
  readonly keySet: string;
  readonly snapshot: OrganizationSnapshot;
  readonly nowMs: number;
  /** Of which integration, and for whom, a device's token is. Says nothing of whether it was spent. */
  readonly findToken: (
    device: IdentifiedDevice,
    tokenSha256: Uint8Array,
  ) => Promise<
    | { readonly ok: true; readonly integrationId: string; readonly user: string | undefined }
    | EnrollmentRefusal
  >;
  readonly findUser: (
    userId: string,
  ) => Promise<{ readonly ok: true; readonly standing: UserStanding } | EnrollmentRefusal>;
  /** Notes the shard for a user who gets a certificate there, so that the end of the user's epoch reaches it. */
  readonly reserveUser: (
    userId: string,
    shard: number,
  ) => Promise<{ readonly ok: true; readonly epoch: number } | EnrollmentRefusal>;
  /** Asks the integration's management whether it manages the device. */
  readonly checkManaged: (
    integration: IntegrationRecord,
    check: ManagementCheck,
  ) => Promise<{ readonly ok: true; readonly facts: ManagementFacts } | EnrollmentRefusal>;
  /** Has the management asked about the device from time to time from now on. Idempotent. */
  readonly watch: (
    integration: IntegrationRecord,
    device: IdentifiedDevice,
  ) => Promise<{ readonly ok: true } | EnrollmentRefusal>;
  /** Every check of the issuance, without writing. */
  readonly examine: (
    shard: number,
    request: IssuanceRequest,
  ) => Promise<{ readonly ok: true } | EnrollmentRefusal>;
  readonly claimKey: (
    spkiSha256: Uint8Array,
    deviceId: string,
  ) => Promise<{ readonly ok: true } | EnrollmentRefusal>;
  readonly issue: (shard: number, request: IssuanceRequest) => Promise<IssuedAnswer>;
  readonly examineRenewal: (
    shard: number,
    asked: { readonly deviceId: string; readonly certificateSha256: Uint8Array },
  ) => Promise<({ readonly ok: true } & RenewalFacts) | EnrollmentRefusal>;
  readonly renew: (shard: number, request: RenewalRequest) => Promise<RenewedAnswer>;
};
