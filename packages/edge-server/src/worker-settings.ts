import { createHash } from 'node:crypto';
import type { DataDirectory } from './data-directory/open-data-directory.ts';
import type { WorkerdConfiguration } from './workerd/workerd-configuration.ts';

/** The worker's bindings, as `worker/src/config/environment.ts` expects them, apart from the Durable Objects. */
export function workerSettings(
  data: DataDirectory,
  brokerUrl: string,
  keySet: string,
): Pick<WorkerdConfiguration, 'texts' | 'keys'> {
  const { paths, deployment } = data;
  return {
    texts: {
      BROKER_URL: brokerUrl,
      ORGANIZATION_ID: deployment.organizationId,
      SHARD_COUNT: String(deployment.shardCount),
      OWNER_TOKEN_SHA256: createHash('sha256').update(data.ownerToken).digest('base64url'),
      ROOT_CERTIFICATE: data.rootCertificatePem,
      ISSUER_CERTIFICATE: data.issuerCertificatePem,
      KEY_SET: keySet,
      PUBLIC_KEYS: JSON.stringify({
        challenge: data.publicKey('challenge'),
        decision: data.publicKey('decision'),
        response_encryption: data.publicKey('response'),
      }),
    },
    keys: {
      ISSUER_KEY: { use: 'ecdsa_sign', file: paths.privateKey('issuer') },
      CHALLENGE_KEY: { use: 'ecdsa_sign', file: paths.privateKey('challenge') },
      DECISION_KEY: { use: 'ecdsa_sign', file: paths.privateKey('decision') },
      RESPONSE_KEY: { use: 'ecdh_derive', file: paths.privateKey('response') },
      DEVICE_ID_KEY: { use: 'hmac_sign', file: paths.deviceIdKey },
    },
  };
}
