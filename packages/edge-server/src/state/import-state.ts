import { basename, resolve } from 'node:path';
import { type StateTables, stateAnswer } from '@countersign/protocol/state';
import * as z from 'zod/mini';
import { buildDataDirectory } from '../data-directory/create-data-directory.ts';
import { formatDeployment, maxShardCount } from '../data-directory/deployment.ts';
import {
  makePrivateDirectory,
  syncDirectory,
  writeNewFile,
} from '../data-directory/durable-files.ts';
import { dataPaths } from '../data-directory/layout.ts';
import { ensureDataDirectory } from '../data-directory/open-data-directory.ts';
import { EdgeServerError } from '../edge-server-error.ts';
import type { Log } from '../logs.ts';
import { makeFirstTokenKeys } from '../rotation/token-key-files.ts';
import { askBroker, type BrokerAccess } from './ask-broker.ts';
import { type CheckedStateFile, checkStateFile } from './check-state-file.ts';
import { writeExportedFiles } from './exported-files.ts';
import { findLosses } from './find-losses.ts';
import { readHighWaterMark, writeHighWaterMark } from './high-water-mark.ts';
import { describeLosses, readState } from './keep-high-water-mark.ts';
import { withPrivateBroker } from './private-broker.ts';
import { raiseKeySet } from './raise-key-set.ts';
import { invalidLine, readStateFile } from './read-state-file.ts';

export type ImportOptions = {
  readonly input: string;
  readonly passphrase: string;
  /** Absent, or empty. */
  readonly dataDirectory: string;
  /** Left out: as many as were exported. */
  readonly shardCount?: number;
  /** Left out: no mark is kept, and none is compared. */
  readonly markPath?: string;
  /** An export that is older than the mark is imported all the same. */
  readonly confirmRestore: boolean;
  readonly workerBundle: string;
  readonly log: Log;
  readonly nowMs: number;
};

export type ImportSummary = {
  readonly organizationId: string;
  readonly shardCount: number;
  /** Chains that did not verify where they were exported; they are kept as they are. */
  readonly brokenChains: readonly string[];
  readonly losses: readonly string[];
};

const running = z.object({ status: z.enum(['running', 'complete']) });

const emptyTables: StateTables = {};

/** Steps of a schema that this version lacks: what they mean cannot be known. */
async function assertKnownSchemas(access: BrokerAccess, file: CheckedStateFile): Promise<void> {
  const { schemas } = await askBroker(access, stateAnswer, '/v1/admin/state');
  for (const object of ['device', 'key', 'organization'] as const) {
    const unknown = file.header.schemas[object].find((step) => !schemas[object].includes(step));
    if (unknown === undefined) continue;
    throw new EdgeServerError(
      'state_file_invalid',
      `The export is of a newer version of Countersign (it has ${unknown}). Import it with that version or a newer one.`,
    );
  }
}

async function sendPages(
  access: BrokerAccess,
  { header, tombstones }: CheckedStateFile,
  input: string,
): Promise<void> {
  const import_id = header.export_id;
  const send = (page: Readonly<Record<string, unknown>>) =>
    askBroker(access, running, '/v1/admin/state/import/rows', { import_id, ...page });
  await askBroker(access, running, '/v1/admin/state/import', {
    import_id,
    imports: header.mark.organization.imports,
    created_at: header.created_at,
    chains: header.mark.shards.flatMap(({ device }, shard) =>
      device === null || device.count === 0
        ? []
        : [{ chain_id: `${import_id}.${shard}`, count: device.count, hash: device.hash }],
    ),
  });
  for await (const { number, value } of readStateFile(input)) {
    if (value.type !== 'page') continue;
    const { object, shard, section } = value;
    // They are put together from all shards below.
    if (section === 'user_tombstones') continue;
    const tables = section === 'devices' ? tombstones.suspend(shard, value.tables) : value.tables;
    await send({ object, shard, section, tables }).catch((error: unknown) => {
      if (!(error instanceof EdgeServerError)) throw error;
      throw invalidLine(input, number, `it cannot be stored: ${error.message}`);
    });
  }
  const ended = {
    user_tombstones: [...tombstones.rows()],
    integration_tombstones: [...tombstones.integrationRows()],
  };
  for (const section of ['user_tombstones', 'integration_tombstones'] as const) {
    const rows = ended[section];
    for (let sent = 0; sent < rows.length; sent += 1000) {
      const page = { ...emptyTables, [section]: rows.slice(sent, sent + 1000) };
      await send({ object: 'device', shard: 0, section, tables: page });
    }
  }
  await askBroker(access, running, '/v1/admin/state/import/finish', { import_id });
}

/**
 * Makes a data folder from an export, with any number of shards. The folder gets its place when it is complete: a
 * crash before that leaves nothing there. Identity, authorities and owner token are those of the export; token keys are
 * new, and so is the key set, so that no challenge from before counts.
 *
 * @throws EdgeServerError
 */
export async function importState(options: ImportOptions): Promise<ImportSummary> {
  const { input, passphrase, markPath, workerBundle, log, nowMs } = options;
  const marked = markPath === undefined ? undefined : readHighWaterMark(markPath);
  const file = await checkStateFile(input, passphrase, marked);
  const shardCount = options.shardCount ?? file.header.shard_count;
  if (!Number.isInteger(shardCount) || shardCount < 1 || shardCount > maxShardCount) {
    throw new EdgeServerError(
      'setting_invalid',
      `The number of shards must be from 1 to ${maxShardCount}.`,
    );
  }
  const losses =
    marked === undefined
      ? []
      : await findLosses(marked, file.header.mark, async (shard) => file.hashAtMark(shard));
  if (losses.length > 0 && markPath !== undefined && !options.confirmRestore) {
    throw new EdgeServerError(
      'state_older_than_mark',
      `${describeLosses(markPath, losses)}\nTo import it all the same, say --confirm-restore.`,
    );
  }

  const fill = async (directory: string): Promise<void> => {
    const paths = dataPaths(directory);
    const deploymentName = basename(paths.deployment);
    writeExportedFiles(directory, file.files, [deploymentName]);
    makeFirstTokenKeys(paths, nowMs);
    makePrivateDirectory(paths.durableObjects);
    writeNewFile(paths.deployment, formatDeployment({ ...file.deployment, shardCount }));
    for (const path of [paths.keys, paths.certificates, directory]) syncDirectory(path);
    const data = await ensureDataDirectory(directory, { brokerUrl: 'http://127.0.0.1', nowMs });
    const seen = marked?.organization_id === file.header.organization_id ? marked : undefined;
    await raiseKeySet(data, data.tokenKeys, seen?.key_set_version ?? 0, nowMs);
    const state = await withPrivateBroker(data, { workerBundle, log, nowMs }, async (access) => {
      await assertKnownSchemas(access, file);
      await sendPages(access, file, input);
      return await readState(access, data);
    });
    // Before the folder has its place: an older one that is put there instead is noticed.
    if (markPath !== undefined) writeHighWaterMark(markPath, state);
  };
  const built = await buildDataDirectory(resolve(options.dataDirectory), fill);
  if (!built) {
    throw new EdgeServerError(
      'data_directory_unusable',
      `${resolve(options.dataDirectory)} is not empty. An import makes a new data folder and changes no other: name one that does not exist yet.`,
    );
  }
  return {
    organizationId: file.header.organization_id,
    shardCount,
    brokenChains: file.brokenChains,
    losses,
  };
}
