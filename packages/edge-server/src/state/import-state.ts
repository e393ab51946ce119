import { resolve } from 'node:path';
import { buildDataDirectory } from '../data-directory/create-data-directory.ts';
import { EdgeServerError } from '../edge-server-error.ts';
import type { Log } from '../logs.ts';
import { checkStateFile } from './check-state-file.ts';
import { chooseShardCount, fillImportedFolder } from './fill-imported-folder.ts';
import { findLosses } from './find-losses.ts';
import { readHighWaterMark, writeHighWaterMark } from './high-water-mark.ts';
import { describeLosses, readState } from './keep-high-water-mark.ts';
import { withPrivateBroker } from './private-broker.ts';
import { sendState } from './send-state.ts';

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

export const folderNotEmpty = (directory: string) =>
  new EdgeServerError(
    'data_directory_unusable',
    `${resolve(directory)} is not empty. An import makes a new data folder and changes no other: name one that does not exist yet.`,
  );

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
  const shardCount = chooseShardCount(options.shardCount, file);
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
    const seen = marked?.organization_id === file.header.organization_id ? marked : undefined;
    const seenVersion = seen?.key_set_version ?? 0;
    const data = await fillImportedFolder(directory, file, { shardCount, seenVersion, nowMs });
    const state = await withPrivateBroker(data, { workerBundle, log, nowMs }, async (access) => {
      await sendState(access, file, input);
      return await readState(access, data);
    });
    // Before the folder has its place: an older one that is put there instead is noticed.
    if (markPath !== undefined) writeHighWaterMark(markPath, state);
  };
  const built = await buildDataDirectory(resolve(options.dataDirectory), fill);
  if (!built) throw folderNotEmpty(options.dataDirectory);
  return {
    organizationId: file.header.organization_id,
    shardCount,
    brokenChains: file.brokenChains,
    losses,
  };
}
