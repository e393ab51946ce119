import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { encodeBase64url } from '@countersign/protocol';
import { makeFirstTokenKeys, readPublicKeys } from '../rotation/token-key-files.ts';
import { formatDeployment } from './deployment.ts';
import { makePrivateDirectory, syncDirectory, writeNewFile } from './durable-files.ts';
import { signKeySet } from './key-set.ts';
import { dataPaths, type PrivateKeyName, privateKeyNames } from './layout.ts';
import {
  makeIssuerCertificate,
  makeKeySetSignerCertificate,
  makeRootCertificate,
} from './make-certificates.ts';
import { newP256Key } from './private-key.ts';

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
  const keys = Object.fromEntries(privateKeyNames.map((name) => [name, newP256Key()]));
  const keyOf = (name: PrivateKeyName) => {
    const key = keys[name];
    if (key === undefined) throw new Error(`no key ${name}`);
    return key.privateKey;
  };
  const rootKey = keyOf('root');
  const root = await makeRootCertificate(rootKey, nowMs);
  const issuer = await makeIssuerCertificate(keyOf('issuer'), root, rootKey, nowMs);
  const signerKey = keyOf('key-set-signer');
  const signer = await makeKeySetSignerCertificate(signerKey, root, rootKey, nowMs);
  const deviceIdKey = randomBytes(32);
  const organizationId = `org_${encodeBase64url(randomBytes(16))}`;

  makePrivateDirectory(paths.keys);
  for (const [name, key] of Object.entries(keys)) {
    writeNewFile(join(paths.keys, `${name}.pem`), key.pem);
  }
  writeNewFile(paths.deviceIdKey, deviceIdKey);
  const tokenKeys = makeFirstTokenKeys(paths, nowMs);
  makePrivateDirectory(paths.certificates);
  writeNewFile(paths.certificate('root'), root);
  writeNewFile(paths.certificate('issuer'), issuer);
  writeNewFile(paths.certificate('key-set-signer'), signer);
  makePrivateDirectory(paths.durableObjects);
  writeNewFile(paths.ownerToken, `${encodeBase64url(randomBytes(32))}\n`);
  const content = {
    brokerUrl: settings.brokerUrl,
    organizationId,
    challengeKeys: readPublicKeys(paths, tokenKeys, 'challenge'),
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
