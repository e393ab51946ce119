import type { ReportObject } from '../audit/report-object.ts';
import type { DeviceObject } from '../device/device-object.ts';
import type { OrganizationObject } from '../directory/organization-object.ts';
import type { KeyObject } from '../enrollment/key-object.ts';
import type { IntegrationObject } from '../integrations/integration-object.ts';
import type { RevocationObject } from '../revocation/revocation-object.ts';

/**
 * The worker's bindings as the platform hands them over: raw, unchecked. `settings.ts` turns them into `Settings`.
 * A key is a `CryptoKey` where workerd's `cryptoKey` binding gives one, a secret's text on Cloudflare.
 */
export type Environment = {
  readonly DEVICE: DurableObjectNamespace<DeviceObject>;
  readonly ORGANIZATION: DurableObjectNamespace<OrganizationObject>;
  readonly KEY: DurableObjectNamespace<KeyObject>;
  readonly REVOCATION: DurableObjectNamespace<RevocationObject>;
  readonly INTEGRATION: DurableObjectNamespace<IntegrationObject>;
  readonly REPORT: DurableObjectNamespace<ReportObject>;
  readonly BROKER_URL: string;
  readonly ORGANIZATION_ID: string;
  readonly SHARD_COUNT: string;
  readonly OWNER_TOKEN_SHA256: string;
  readonly ROOT_CERTIFICATE: string;
  readonly ISSUER_CERTIFICATE: string;
  /** While an issuer is rolled over: the one that comes. */
  readonly ISSUER_2_CERTIFICATE?: string;
  readonly LEAF_COMMON_NAME?: string;
  readonly KEY_SET: string;
  readonly MTLS_URL?: string;
  /** Networks beside public ones that the machine lets the broker connect to: CIDR, with spaces between them. */
  readonly OUTBOUND_NETWORKS?: string;
  /** Origin in certificates at which revocation is published; left out: `BROKER_URL`. */
  readonly PKI_URL?: string;
  readonly PUBLIC_KEYS: string;
  readonly ISSUER_KEY: CryptoKey | string;
  readonly ISSUER_2_KEY?: CryptoKey | string;
  readonly CHALLENGE_KEY: CryptoKey | string;
  readonly MTLS_EVIDENCE_KEY: CryptoKey | string;
  readonly DECISION_KEY: CryptoKey | string;
  /** Signs checkpoints of the log. */
  readonly AUDIT_KEY: CryptoKey | string;
  readonly RESPONSE_KEY: CryptoKey | string;
  /** While response keys are rotated: the one that comes, or the one that goes. */
  readonly RESPONSE_KEY_OTHER?: CryptoKey | string;
  readonly DEVICE_ID_KEY: CryptoKey | string;
  /** Seals the secrets that the broker has to keep, such as an MDM's. */
  readonly STORED_SECRETS_KEY: CryptoKey | string;
  /** Always text: SCEP's RSA decryption is `node:crypto`'s. */
  readonly SCEP_RA_KEY?: string;
  /** One under each issuer, for the same key. */
  readonly SCEP_RA_CERTIFICATE?: string;
  readonly SCEP_RA_2_CERTIFICATE?: string;
};
