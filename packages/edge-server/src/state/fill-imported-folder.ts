import { basename } from 'node:path';
import { formatDeployment, maxShardCount } from '../data-directory/deployment.ts';
import {
  makePrivateDirectory,
  syncDirectory,
  writeNewFile,
} from '../data-directory/durable-files.ts';
import { dataPaths } from '../data-directory/layout.ts';
import { type DataDirectory, ensureDataDirectory } from '../data-directory/open-data-directory.ts';
import { EdgeServerError } from '../edge-server-error.ts';
import { makeFirstTokenKeys } from '../rotation/token-key-files.ts';
import type { CheckedStateFile } from './check-state-file.ts';
import { writeExportedFiles } from './exported-files.ts';
import { raiseKeySet } from './raise-key-set.ts';

/** @throws EdgeServerError `setting_invalid` */
export function chooseShardCount(wanted: number | undefined, { header }: CheckedStateFile): number {
  const shardCount = wanted ?? header.shard_count;
  if (Number.isInteger(shardCount) && shardCount >= 1 && shardCount <= maxShardCount) {
    return shardCount;
  }
  throw new EdgeServerError(
    'setting_invalid',
    `The number of shards must be from 1 to ${maxShardCount}.`,
  );
}

/**
 * Everything of a data folder but what the broker stores: identity, authorities and owner token of the export, new
 * token keys, and a key set for them.
 *
 * @param options `seenVersion`: of a key set that a device may have seen beside the exported one
 */
export async function fillImportedFolder(
  directory: string,
  file: CheckedStateFile,
  options: { readonly shardCount: number; readonly seenVersion: number; readonly nowMs: number },
): Promise<DataDirectory> {
  const { shardCount, seenVersion, nowMs } = options;
  const paths = dataPaths(directory);
  writeExportedFiles(directory, file.files, [basename(paths.deployment)]);
  makeFirstTokenKeys(paths, nowMs);
  makePrivateDirectory(paths.durableObjects);
  writeNewFile(paths.deployment, formatDeployment({ ...file.deployment, shardCount }));
  for (const path of [paths.keys, paths.certificates, directory]) syncDirectory(path);
  const data = await ensureDataDirectory(directory, { brokerUrl: 'http://127.0.0.1', nowMs });
  await raiseKeySet(data, data.tokenKeys, seenVersion, nowMs);
  return data;
}
