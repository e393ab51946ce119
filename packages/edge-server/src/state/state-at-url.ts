import { resolve } from 'node:path';
import { stateAnswer } from '@countersign/protocol/state';
import { buildDataDirectory } from '../data-directory/create-data-directory.ts';
import type { DataDirectory } from '../data-directory/open-data-directory.ts';
import { EdgeServerError } from '../edge-server-error.ts';
import { askBroker, type BrokerAccess } from './ask-broker.ts';
import { checkStateFile } from './check-state-file.ts';
import { type ExportSummary, exportState } from './export-state.ts';
import { chooseShardCount, fillImportedFolder } from './fill-imported-folder.ts';
import { folderNotEmpty } from './import-state.ts';
import { openExistingDataDirectory } from './open-existing.ts';
import { sendState } from './send-state.ts';

/**
 * Export and import of a broker that is asked at its URL because it runs elsewhere, as on Cloudflare. Its keys are in a
 * data folder here, on which nothing runs.
 */

async function assertSameOrganization(access: BrokerAccess, data: DataDirectory): Promise<void> {
  const state = await askBroker(access, stateAnswer, '/v1/admin/state');
  const { organizationId } = data.deployment;
  if (state.organization_id === organizationId) return;
  throw new EdgeServerError(
    'deployment_mismatch',
    `The broker is of organization ${state.organization_id}, and the keys in ${data.directory} are of ${organizationId}.`,
  );
}

/** @throws EdgeServerError */
export async function exportStateAt(
  url: string,
  ownerToken: string | undefined,
  file: { readonly dataDirectory: string; readonly output: string; readonly passphrase: string },
  nowMs: number,
): Promise<ExportSummary> {
  const data = await openExistingDataDirectory(file.dataDirectory, nowMs);
  const access = { url, ownerToken: ownerToken ?? data.ownerToken };
  await assertSameOrganization(access, data);
  return await exportState(access, data, resolve(file.output), file.passphrase, nowMs);
}

export type ImportFile = {
  readonly input: string;
  readonly passphrase: string;
  readonly dataDirectory: string;
};

/**
 * Makes a data folder with the keys of an export, and nothing that a broker stores: what a broker elsewhere is set up
 * with before the rest is sent to it.
 *
 * @throws EdgeServerError
 */
export async function makeKeysFolder(
  { input, passphrase, dataDirectory }: ImportFile,
  wantedShards: number | undefined,
  nowMs: number,
): Promise<{ readonly organizationId: string; readonly shardCount: number }> {
  const file = await checkStateFile(resolve(input), passphrase, undefined);
  const shardCount = chooseShardCount(wantedShards, file);
  const built = await buildDataDirectory(resolve(dataDirectory), async (directory) => {
    await fillImportedFolder(directory, file, { shardCount, seenVersion: 0, nowMs });
  });
  if (!built) throw folderNotEmpty(dataDirectory);
  return { organizationId: file.header.organization_id, shardCount };
}

/**
 * Sends an export to a broker that has the keys of this folder and in which nothing is stored yet. With the owner token
 * of the folder: while an import is running the broker knows no other.
 *
 * @throws EdgeServerError
 */
export async function importStateAt(
  url: string,
  { input, passphrase, dataDirectory }: ImportFile,
  nowMs: number,
): Promise<{ readonly organizationId: string; readonly brokenChains: readonly string[] }> {
  const data = await openExistingDataDirectory(dataDirectory, nowMs);
  const path = resolve(input);
  const file = await checkStateFile(path, passphrase, undefined);
  if (file.header.organization_id !== data.deployment.organizationId) {
    throw new EdgeServerError(
      'deployment_mismatch',
      `${path} is of organization ${file.header.organization_id}, and the keys in ${data.directory} are of ${data.deployment.organizationId}.`,
    );
  }
  const access = { url, ownerToken: data.ownerToken };
  await assertSameOrganization(access, data);
  await sendState(access, file, path);
  return { organizationId: file.header.organization_id, brokenChains: file.brokenChains };
}
