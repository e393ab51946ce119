import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type IssuerName, readIssuers } from './data-directory/issuers.ts';
import type { DataPaths } from './data-directory/layout.ts';
import type { DataDirectory } from './data-directory/open-data-directory.ts';
import { readPublicKeys } from './rotation/token-key-files.ts';
import { keyIdsOf, type TokenKeyPurpose, type TokenKeys } from './rotation/token-keys.ts';
import type { WorkerdConfiguration } from './workerd/workerd-configuration.ts';

export type WorkerBindings = Required<Pick<WorkerdConfiguration, 'texts' | 'textFiles' | 'keys'>>;

/** The bindings of an issuer: those of the first one have no number. */
function issuerBindings(paths: DataPaths, name: IssuerName, index: number) {
  const number = index === 0 ? '' : `_${index + 1}`;
  return {
    texts: {
      [`ISSUER${number}_CERTIFICATE`]: readFileSync(paths.certificate(name), 'utf8'),
      [`SCEP_RA${number}_CERTIFICATE`]: readFileSync(paths.scepRaCertificate(name), 'utf8'),
    },
    keys: { [`ISSUER${number}_KEY`]: { use: 'ecdsa_sign', file: paths.privateKey(name) } },
  } as const;
}

/** The worker's bindings, as `worker/src/config/environment.ts` expects them, apart from the Durable Objects. */
export function workerSettings(
  data: DataDirectory,
  brokerUrl: string,
  keySet: string,
  tokenKeys: TokenKeys = data.tokenKeys,
): WorkerBindings {
  const { paths, deployment } = data;
  const publicKeys = (purpose: TokenKeyPurpose) => readPublicKeys(paths, tokenKeys, purpose);
  const inUse = (purpose: TokenKeyPurpose) => paths.tokenKey(purpose, tokenKeys[purpose].inUse.kid);
  // Of all the others only the public half is needed; what was, or is about to be, encrypted to this one must be opened.
  const [, otherResponseKey] = keyIdsOf(tokenKeys.response);
  // Read anew: a rollover changes them while the server runs.
  const { active } = readIssuers(paths);
  const issuers = active.map((name, index) => issuerBindings(paths, name, index));
  return {
    texts: {
      BROKER_URL: brokerUrl,
      ORGANIZATION_ID: deployment.organizationId,
      SHARD_COUNT: String(deployment.shardCount),
      OWNER_TOKEN_SHA256: createHash('sha256').update(data.ownerToken).digest('base64url'),
      ROOT_CERTIFICATE: data.rootCertificatePem,
      ...Object.assign({}, ...issuers.map(({ texts }) => texts)),
      KEY_SET: keySet,
      PUBLIC_KEYS: JSON.stringify({
        challenge: publicKeys('challenge'),
        mtls_evidence: publicKeys('mtls-evidence'),
        decision: publicKeys('decision'),
        response_encryption: publicKeys('response'),
        audit: publicKeys('audit'),
      }),
    },
    // Decryption for SCEP is node:crypto's, which takes no key of a binding.
    textFiles: { SCEP_RA_KEY: paths.scepRaKey },
    keys: {
      ...Object.assign({}, ...issuers.map(({ keys }) => keys)),
      CHALLENGE_KEY: { use: 'ecdsa_sign', file: inUse('challenge') },
      MTLS_EVIDENCE_KEY: { use: 'ecdsa_sign', file: inUse('mtls-evidence') },
      DECISION_KEY: { use: 'ecdsa_sign', file: inUse('decision') },
      AUDIT_KEY: { use: 'ecdsa_sign', file: inUse('audit') },
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
      STORED_SECRETS_KEY: { use: 'aes_gcm', file: paths.storedSecretsKey },
    },
  };
}
