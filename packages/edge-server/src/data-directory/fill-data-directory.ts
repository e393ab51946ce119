import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { encodeBase64url } from '@countersign/protocol';
import { makeFirstTokenKeys, readPublicKeys } from '../rotation/token-key-files.ts';
import { formatDeployment } from './deployment.ts';
import { makePrivateDirectory, syncDirectory, writeNewFile } from './durable-files.ts';
import { firstIssuers, formatIssuers } from './issuers.ts';
import { signKeySet } from './key-set.ts';
import { dataPaths } from './layout.ts';
import {
  makeIssuerCertificate,
  makeKeySetSignerCertificate,
  makeRootCertificate,
} from './make-certificates.ts';
import { newP256Key } from './private-key.ts';
import { keepScepRaCertificates, makeScepRaKey } from './scep-ra.ts';

export type CreationSettings = {
  readonly shardCount: number;
  /** `iss` of the first key set; a later start with another one makes a newer key set. */
  readonly brokerUrl: string;
};

/** Puts everything that a data folder needs into an empty one. */
export async function fillDataDirectory(
  directory: string,
  settings: CreationSettings,
  nowMs: number,
): Promise<void> {
  const paths = dataPaths(directory);
  const keys = { root: newP256Key(), issuer: newP256Key(), 'key-set-signer': newP256Key() };
  const rootKey = keys.root.privateKey;
  const root = await makeRootCertificate(rootKey, nowMs);
  const issuer = await makeIssuerCertificate(keys.issuer.privateKey, root, rootKey, nowMs);
  const signerKey = keys['key-set-signer'].privateKey;
  const signer = await makeKeySetSignerCertificate(signerKey, root, rootKey, nowMs);
  const deviceIdKey = randomBytes(32);
  const organizationId = `org_${encodeBase64url(randomBytes(16))}`;

  makePrivateDirectory(paths.keys);
  for (const [name, key] of Object.entries(keys)) {
    writeNewFile(join(paths.keys, `${name}.pem`), key.pem);
  }
  writeNewFile(paths.deviceIdKey, deviceIdKey);
  writeNewFile(paths.storedSecretsKey, randomBytes(32));
  makeScepRaKey(paths);
  const tokenKeys = makeFirstTokenKeys(paths, nowMs);
  makePrivateDirectory(paths.certificates);
  writeNewFile(paths.certificate('root'), root);
  writeNewFile(paths.certificate('issuer'), issuer);
  writeNewFile(paths.certificate('key-set-signer'), signer);
  writeNewFile(paths.issuers, formatIssuers(firstIssuers));
  await keepScepRaCertificates(paths, firstIssuers.active, nowMs);
  makePrivateDirectory(paths.durableObjects);
  writeNewFile(paths.ownerToken, `${encodeBase64url(randomBytes(32))}\n`);
  const content = {
    brokerUrl: settings.brokerUrl,
    organizationId,
    challengeKeys: readPublicKeys(paths, tokenKeys, 'challenge'),
    auditKeys: readPublicKeys(paths, tokenKeys, 'audit'),
  };
  const keySetSigner = { privateKey: signerKey, certificatePem: signer };
  writeNewFile(paths.keySet, `${signKeySet(content, keySetSigner, 1, nowMs)}\n`);
  writeNewFile(
    paths.deployment,
    formatDeployment({
      version: 1,
      organizationId,
      shardCount: settings.shardCount,
      deviceIdKeyFingerprint: createHash('sha256').update(deviceIdKey).digest('base64url'),
      createdAt: new Date(nowMs).toISOString(),
    }),
  );
  for (const path of [paths.keys, paths.certificates, directory]) syncDirectory(path);
}
