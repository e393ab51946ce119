import type { DeviceObject } from '../device/device-object.ts';
import type { OrganizationObject } from '../directory/organization-object.ts';
import type { KeyObject } from '../enrollment/key-object.ts';

/**
 * The worker's bindings as the platform hands them over: raw, unchecked. `settings.ts` turns them into `Settings`.
 * A key is a `CryptoKey` where workerd's `cryptoKey` binding gives one, a secret's text on Cloudflare.
 */
export type Environment = {
  readonly DEVICE: DurableObjectNamespace<DeviceObject>;
  readonly ORGANIZATION: DurableObjectNamespace<OrganizationObject>;
  readonly KEY: DurableObjectNamespace<KeyObject>;
  readonly BROKER_URL: string;
  readonly ORGANIZATION_ID: string;
  readonly SHARD_COUNT: string;
  readonly OWNER_TOKEN_SHA256: string;
  readonly ROOT_CERTIFICATE: string;
  readonly ISSUER_CERTIFICATE: string;
  readonly LEAF_COMMON_NAME?: string;
  readonly KEY_SET: string;
  readonly MTLS_URL?: string;
  readonly PUBLIC_KEYS: string;
  readonly ISSUER_KEY: CryptoKey | string;
  readonly CHALLENGE_KEY: CryptoKey | string;
  readonly MTLS_EVIDENCE_KEY: CryptoKey | string;
  readonly DECISION_KEY: CryptoKey | string;
  readonly RESPONSE_KEY: CryptoKey | string;
  /** While response keys are rotated: the one that comes, or the one that goes. */
  readonly RESPONSE_KEY_OTHER?: CryptoKey | string;
  readonly DEVICE_ID_KEY: CryptoKey | string;
};
