import { createHash } from 'node:crypto';
import type { DataDirectory } from './data-directory/open-data-directory.ts';
import { readPublicKeys } from './rotation/token-key-files.ts';
import { keyIdsOf, type TokenKeyPurpose, type TokenKeys } from './rotation/token-keys.ts';
import type { WorkerdConfiguration } from './workerd/workerd-configuration.ts';

/** The worker's bindings, as `worker/src/config/environment.ts` expects them, apart from the Durable Objects. */
export function workerSettings(
  data: DataDirectory,
  brokerUrl: string,
  keySet: string,
  tokenKeys: TokenKeys = data.tokenKeys,
): Pick<WorkerdConfiguration, 'texts' | 'keys'> {
  const { paths, deployment } = data;
  const publicKeys = (purpose: TokenKeyPurpose) => readPublicKeys(paths, tokenKeys, purpose);
  const inUse = (purpose: TokenKeyPurpose) => paths.tokenKey(purpose, tokenKeys[purpose].inUse.kid);
  // Of all the others only the public half is needed; what was, or is about to be, encrypted to this one must be opened.
  const [, otherResponseKey] = keyIdsOf(tokenKeys.response);
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
        challenge: publicKeys('challenge'),
        mtls_evidence: publicKeys('mtls-evidence'),
        decision: publicKeys('decision'),
        response_encryption: publicKeys('response'),
      }),
    },
    keys: {
      ISSUER_KEY: { use: 'ecdsa_sign', file: paths.privateKey('issuer') },
      CHALLENGE_KEY: { use: 'ecdsa_sign', file: inUse('challenge') },
      MTLS_EVIDENCE_KEY: { use: 'ecdsa_sign', file: inUse('mtls-evidence') },
      DECISION_KEY: { use: 'ecdsa_sign', file: inUse('decision') },
      RESPONSE_KEY: { use: 'ecdh_derive', file: inUse('response') },
      ...(otherResponseKey === undefined
        ? {}
        : {
            RESPONSE_KEY_OTHER: {
              use: 'ecdh_derive',
              file: paths.tokenKey('response', otherResponseKey),
            },
          }),
      DEVICE_ID_KEY: { use: 'hmac_sign', file: paths.deviceIdKey },
    },
  };
}
