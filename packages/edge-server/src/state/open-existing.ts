import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { type DataDirectory, ensureDataDirectory } from '../data-directory/open-data-directory.ts';
import { EdgeServerError } from '../edge-server-error.ts';

/** Opens a data folder that exists; unlike a start, makes none. */
export async function openExistingDataDirectory(
  directory: string,
  nowMs: number,
): Promise<DataDirectory> {
  if (!existsSync(resolve(directory))) {
    throw new EdgeServerError(
      'data_directory_unusable',
      `There is no data folder ${resolve(directory)}. Name it with --data or COUNTERSIGN_DATA.`,
    );
  }
  return await ensureDataDirectory(directory, { brokerUrl: 'http://127.0.0.1', nowMs });
}
