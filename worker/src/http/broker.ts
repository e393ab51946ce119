import type { ReportObject } from '../audit/report-object.ts';
import type { IssuedChallenges } from '../challenge/issued-challenges.ts';
import type { PresentedCertificates } from '../challenge/presented-certificate.ts';
import type { DeviceObject } from '../device/device-object.ts';
import { deviceObjectName, keyObjectName } from '../device/placement.ts';
import type { ConfiguredIssuer } from '../directory/issuer-choice.ts';
import type { OrganizationObject } from '../directory/organization-object.ts';
import type { SnapshotCache } from '../directory/snapshot-cache.ts';
import type { EnrollmentThrottle } from '../enrollment/enrollment-throttle.ts';
import type { KeyObject } from '../enrollment/key-object.ts';
import type { IntegrationObject } from '../integrations/integration-object.ts';
import type { OutboundNetwork } from '../integrations/outbound-url.ts';
import type { ClientCertificates } from '../mtls/client-certificate.ts';
import type { OcspIssuer } from '../revocation/ocsp-issuers.ts';
import type { ReadyAnswers } from '../revocation/ready-answers.ts';
import type { RevocationObject } from '../revocation/revocation-object.ts';
import type { ScepSettings } from '../scep/scep-settings.ts';
import { type StorageUnavailable, storageUnavailable } from '../storage/durable-store.ts';
import type { SigningKeys, TokenKey } from '../token/token-key.ts';
import type { ReadyResponses } from './ready-responses.ts';
import { logEvent } from './route-context.ts';

/** The broker as the routes see it: checked settings, objects, and the isolate's snapshot. Made by `index.ts`. */
export type Broker = {
  readonly brokerUrl: string;
  /** Origin at which browsers present device certificates; `undefined` when mTLS evidence is not given. */
  readonly mtlsUrl: string | undefined;
  readonly organizationId: string;
  readonly shardCount: number;
  readonly ownerTokenSha256: string;
  readonly rootCertificate: Uint8Array;
  /** One, or two while one is rolled over to another. */
  readonly issuers: readonly ConfiguredIssuer[];
  /** Origin in certificates at which CRLs, OCSP and issuers' certificates are published. */
  readonly pkiUrl: string;
  readonly scep: ScepSettings | undefined;
  readonly storedSecretsKey: CryptoKey;
  readonly keySet: string;
  readonly challengeKeys: SigningKeys;
  readonly mtlsEvidenceKeys: SigningKeys;
  readonly decisionKeys: SigningKeys;
  readonly auditKeys: SigningKeys;
  /** Responses are encrypted to the first one; all of them decrypt. */
  readonly responseKeys: readonly TokenKey[];
  readonly deviceIdKey: CryptoKey;
  /** Where device managements may be, beside public addresses. */
  readonly outboundNetworks: readonly OutboundNetwork[];
  readonly presentedCertificates: PresentedCertificates;
  readonly clientCertificates: ClientCertificates;
  readonly issuedChallenges: IssuedChallenges;
  readonly enrollmentThrottle: EnrollmentThrottle;
  readonly snapshots: SnapshotCache;
  /** A stub belongs to the request that made it, so each use makes its own. */
  readonly organization: () => DurableObjectStub<OrganizationObject>;
  readonly devices: DurableObjectNamespace<DeviceObject>;
  readonly keys: DurableObjectNamespace<KeyObject>;
  readonly revocation: DurableObjectNamespace<RevocationObject>;
  readonly ocspIssuers: () => Promise<readonly OcspIssuer[]>;
  readonly readyAnswers: ReadyAnswers;
  readonly readyResponses: ReadyResponses;
  /** The newest list of each object that this isolate has handed out. */
  readonly publishedCrls: Map<string, { readonly number: number; readonly der: Uint8Array }>;
  readonly report: () => DurableObjectStub<ReportObject>;
  readonly integrations: DurableObjectNamespace<IntegrationObject>;
};

/**
 * Asks a Durable Object. One that fails instead of answering, because its disk is full, because it is overloaded or
 * starts anew, has recorded nothing that anybody was told of, and is a `storage_unavailable` like any other.
 */
export async function askObject<Question extends Promise<unknown>>(
  question: () => Question,
): Promise<Awaited<Question> | StorageUnavailable> {
  try {
    return await question();
  } catch (error) {
    logEvent('object_failed', { error: String(error) });
    return storageUnavailable;
  }
}

/** Computing an id from its name costs a keyed hash; there are only as many as there are shards. */
const deviceObjectIds = new Map<number, DurableObjectId>();

export function deviceShard(broker: Broker, shard: number): DurableObjectStub<DeviceObject> {
  let id = deviceObjectIds.get(shard);
  if (id === undefined) {
    id = broker.devices.idFromName(deviceObjectName(shard));
    deviceObjectIds.set(shard, id);
  }
  return broker.devices.get(id);
}

export function keyShard(broker: Broker, shard: number): DurableObjectStub<KeyObject> {
  return broker.keys.get(broker.keys.idFromName(keyObjectName(shard)));
}

/** The object of an integration: what deals with its device management. */
export function integrationObject(
  broker: Broker,
  integrationId: string,
): DurableObjectStub<IntegrationObject> {
  return broker.integrations.get(broker.integrations.idFromName(integrationId));
}
