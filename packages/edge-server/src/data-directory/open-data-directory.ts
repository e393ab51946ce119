import { createHash, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { decodeBase64url } from '@countersign/protocol';
import { EdgeServerError } from '../edge-server-error.ts';
import { adoptOlderTokenKeys, readTokenKeys } from '../rotation/token-key-files.ts';
import type { TokenKeys } from '../rotation/token-keys.ts';
import { adoptOlderFolder } from './adopt-older-folder.ts';
import { checkDataDirectory, checkDataDirectoryOwner } from './check-data-directory.ts';
import { createDataDirectory } from './create-data-directory.ts';
import { type Deployment, parseDeployment } from './deployment.ts';
import { type Issuers, readIssuers } from './issuers.ts';
import { type CertificateName, type DataPaths, dataPaths, type PrivateKeyName } from './layout.ts';
import { parseOwnCertificate } from './make-certificates.ts';
import { readP256Key } from './private-key.ts';
import { keepScepRaCertificates, makeScepRaKey } from './scep-ra.ts';

/** A data folder that was found complete and consistent. */
export type DataDirectory = {
  readonly directory: string;
  readonly paths: DataPaths;
  readonly deployment: Deployment;
  readonly ownerToken: string;
  readonly rootCertificatePem: string;
  /** As they were when the folder was opened. */
  readonly issuers: Issuers;
  /** @throws EdgeServerError `data_directory_unusable` */
  readonly certificatePem: (name: CertificateName) => string;
  /** P-256. */
  readonly privateKey: (name: PrivateKeyName) => KeyObject;
  /** As they were when the folder was opened. */
  readonly tokenKeys: TokenKeys;
  /** Whether this call created it. */
  readonly created: boolean;
};

export type DataDirectorySettings = {
  /** Used when the folder is created; later only compared. Left out: the stored one, 16 for a new folder. */
  readonly shardCount?: number;
  /** For the first key set. */
  readonly brokerUrl: string;
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
};

/**
 * One workerd process has one thread, so more objects add no speed, and objects do not share commits: 16 decide about a
 * fifth faster than 64 here. Enough to keep a damaged file from everybody's way.
 */
const defaultShardCount = 16;

function mismatch(paths: DataPaths, what: string): EdgeServerError {
  return new EdgeServerError(
    'deployment_mismatch',
    `${paths.deployment}: ${what}. Nothing is served until the settings fit the data again: devices could not be found in it. See docs/backup-and-restore.md.`,
  );
}

function assertDeploymentFits(
  paths: DataPaths,
  deployment: Deployment,
  shardCount: number | undefined,
): void {
  const fingerprint = createHash('sha256').update(readFileSync(paths.deviceIdKey));
  if (fingerprint.digest('base64url') !== deployment.deviceIdKeyFingerprint) {
    throw mismatch(
      paths,
      `the data was created with another key than ${paths.deviceIdKey}. Put that key back from a backup of this folder, or import an export, which has it`,
    );
  }
  if (shardCount !== undefined && shardCount !== deployment.shardCount) {
    throw mismatch(
      paths,
      `the data was created with ${deployment.shardCount} shards, not ${shardCount}. Leave --shards and COUNTERSIGN_SHARDS out, or give the data another number of shards: countersign-server export, then countersign-server import --shards ${shardCount} into a new folder`,
    );
  }
}

function readOwnerToken(paths: DataPaths): string {
  const token = readFileSync(paths.ownerToken, 'utf8').trimEnd();
  if (decodeBase64url(token)?.length === 32) return token;
  throw new EdgeServerError(
    'data_directory_unusable',
    `${paths.ownerToken} does not hold an owner token (32 bytes, base64url). Restore it from a backup.`,
  );
}

function readCertificate(path: string): string {
  const pem = readFileSync(path, 'utf8');
  try {
    parseOwnCertificate(pem);
    return pem;
  } catch {
    throw new EdgeServerError(
      'data_directory_unusable',
      `${path} does not hold a certificate. Restore it from a backup.`,
    );
  }
}

/**
 * Opens the data folder; the first time, creates it with all keys. Everything found is checked before anything is
 * served: completeness, owner and modes, and that the device id key is the one that the data was made with.
 *
 * @throws EdgeServerError with every problem of one kind named
 */
export async function ensureDataDirectory(
  directory: string,
  settings: DataDirectorySettings,
): Promise<DataDirectory> {
  const { shardCount = defaultShardCount, brokerUrl, nowMs } = settings;
  checkDataDirectoryOwner(resolve(directory));
  const created = await createDataDirectory(resolve(directory), { shardCount, brokerUrl }, nowMs);
  const absolute = realpathSync(directory);
  const paths = dataPaths(absolute);
  adoptOlderTokenKeys(paths, nowMs);
  adoptOlderFolder(paths);
  // Whoever fears that it has leaked removes it.
  if (existsSync(paths.issuers)) makeScepRaKey(paths);
  checkDataDirectory(absolute);
  const deployment = parseDeployment(readFileSync(paths.deployment, 'utf8'), paths.deployment);
  assertDeploymentFits(paths, deployment, settings.shardCount);
  const issuers = readIssuers(paths);
  for (const name of issuers.active) readCertificate(paths.certificate(name));
  await keepScepRaCertificates(paths, issuers.active, nowMs);
  return {
    directory: absolute,
    paths,
    deployment,
    ownerToken: readOwnerToken(paths),
    rootCertificatePem: readCertificate(paths.certificate('root')),
    issuers,
    certificatePem: (name) => readCertificate(paths.certificate(name)),
    privateKey: (name) => readP256Key(paths.privateKey(name)),
    tokenKeys: readTokenKeys(paths),
    created,
  };
}
